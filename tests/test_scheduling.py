import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.scheduling import Scheduling

SHARED = ["a.py::one", "b.py::one", "b.py::two"]
ALONE = ["b.py::three", "c.py::one"]
STORED = ["f.py::one", "f.py::two"]
ALONE_STORED = ["f.py::three", "f.py::four"]
FILES = ["b.py::four", "d.py::one", "d.py::Class::two[x::y]", "e.py::one"]
GROUPS = {"shared": SHARED, "stored": STORED, "alone": ALONE, "alone_stored": ALONE_STORED}


class Worker:
    """What the scheduler knows of a process: it does what it has, but for the last test, until it may end."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw")
        self.given: list[int] = []
        self.done = 0
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def run(tests: list[str], count: int, folder: Path) -> list[tuple[int, str]]:
    """Which worker does which test, in the order in which they are done; all take the same time."""
    option = SimpleNamespace(loadscopereorder=False)
    values = {"tx": ["popen"] * count, "maxprocesses": None, "dist": "loadgroup"}
    config: Any = SimpleNamespace(option=option, getvalue=values.get, rootpath=None)
    groups = {test: group for group, members in GROUPS.items() for test in members}
    (folder / "groups").write_text(json.dumps(groups))
    scheduling = Scheduling(config, folder / "groups")
    workers = [Worker() for _ in range(count)]
    for worker in cast(Any, workers):
        scheduling.add_node(worker)
    for worker in cast(Any, workers):
        scheduling.add_node_collection(worker, tests)
    scheduling.schedule()
    told = []
    for _ in range(2 * len(tests)):
        for number, worker in enumerate(cast(Any, workers)):
            if worker.done < len(worker.given) - (not worker.shutting_down):
                test = worker.given[worker.done]
                worker.done += 1
                told.append((number, tests[test]))
                scheduling.mark_test_complete(worker, test)
            elif worker.shutting_down and worker in scheduling.nodes:
                assert scheduling.remove_node(worker) is None
            if scheduling.tests_finished:
                for each in workers:
                    each.shutdown()
    return told


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize(
    "tests",
    [
        ALONE + SHARED + FILES,
        FILES + ALONE,
        SHARED + ALONE,
        ALONE,
        ALONE_STORED + STORED + SHARED + ALONE + FILES,
        SHARED[:1] + STORED[:1] + FILES + ALONE_STORED + ALONE,
        FILES + STORED + ALONE_STORED,
        ALONE_STORED + ALONE,
    ],
)
def test_alone_means_after_all_others_and_where_shared_services_run(
    tests: list[str], workers: int, tmp_path: Path
) -> None:
    told = run(tests, workers, tmp_path)
    assert sorted(test for _, test in told) == sorted(tests)
    order = [test for _, test in told]
    alone = [[test for test in tests if test in group] for group in (ALONE_STORED, ALONE)]
    for group in filter(None, alone):
        first = order.index(group[0])
        assert order[first : first + len(group)] == group
    began = order.index((alone[0] or alone[1])[0])
    later = [test for test in order[began:] if test not in ALONE + ALONE_STORED]
    assert len(later) <= bool(alone[0] and alone[1]), "what the second worker has held back, when the first has ended"
    for group in (SHARED + ALONE, STORED + ALONE_STORED):
        assert len({worker for worker, test in told if test in group}) <= 1
    if SHARED[0] in tests and FILES[0] in tests and workers > 1:
        assert len({worker for worker, _ in told}) > 1


def test_the_tests_of_a_file_have_one_worker(tmp_path: Path) -> None:
    told = run(FILES, 3, tmp_path)
    assert [worker for worker, test in told if test.startswith("d.py")] == [1, 1]
    assert {worker for worker, _ in told} == {0, 1, 2}
