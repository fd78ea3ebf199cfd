"""Which worker of pytest-xdist runs which tests: those of a file in one, and groups across files.

`SHARED` and `STORED` are the tests that share running services, so that only one worker starts each. `ALONE` and
`ALONE_STORED` are run by these workers, one after the other, after all others have ended. A mark `xdist_group` says
which tests are in a group; each worker writes that to a file, since of marks the scheduler knows nothing, and
pytest-xdist 3.8 does not tell it under pytest 9.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SHARED, STORED = "shared", "stored"
ALONE, ALONE_STORED = "alone", "alone_stored"
HOMES = {ALONE_STORED: STORED, ALONE: SHARED}
"""By group of tests that run alone, in their order, the group whose services they need."""
_FILE = "groups_of_tests"


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it is Any
    """Hands out files and groups in the order of their first tests, but those of `HOMES` at the end.

    A worker does what it has but for its last test, which it holds back until it is given more, or may end. So one
    that waits for its tests that run alone does nothing meanwhile.

    Args:
        config: pytest's.
        groups: written by the workers when they have collected: group by id of a test.
        log: pytest-xdist's.
    """

    def __init__(self, config: pytest.Config, groups: Path, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._written = groups
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        if self._written.exists():  # else no worker has collected anything, as of a path that is not there
            self._groups = json.loads(self._written.read_text(encoding="utf-8"))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid) or nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        for group in HOMES:
            if group in self.workqueue:
                self.workqueue.move_to_end(group)
        if self._may_begin(node):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down or not self._only_alone():
            super()._reschedule(node)
            return
        waiting = {self._home(group) for group in self.workqueue}
        if node not in waiting:
            node.shutdown()
        first = self._home(next(iter(self.workqueue)))
        if self._may_begin(first):
            super()._reschedule(first)

    def remove_node(self, node: WorkerController) -> str | None:
        crashed: str | None = super().remove_node(node)
        for other in self.nodes:
            self._reschedule(other)
        return crashed

    def _only_alone(self) -> bool:
        return bool(self.workqueue) and self.workqueue.keys() <= HOMES.keys()

    def _may_begin(self, node: WorkerController) -> bool:
        """Whether the next group may be given to a worker: of those that run alone, when no other does anything."""
        if not self._only_alone():
            return True
        waiting = {self._home(group) for group in self.workqueue}
        return node is self._home(next(iter(self.workqueue))) and all(
            other in waiting and self._pending_of(self.assigned_work[other]) <= 1
            for other in self.nodes
            if other is not node
        )

    def _home(self, group: str) -> WorkerController:
        """The worker that stays for a group of tests that run alone."""
        left = [node for node in self.nodes if not node.shutting_down]
        return next((node for node in left if HOMES[group] in self.assigned_work[node]), left[0])


class _Controller:
    """The part in the process that hands out tests."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE

    def pytest_configure_node(self, node: WorkerController) -> None:
        node.workerinput[_FILE] = str(self._file)

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Scheduling:
        return Scheduling(config, self._file, log)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    if config.getoption("dist", "no") != "loadgroup" or hasattr(config, "workerinput"):
        return (yield)
    with TemporaryDirectory() as folder:
        config.pluginmanager.register(_Controller(Path(folder)))
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if file := getattr(config, "workerinput", {}).get(_FILE):
        marks = {item.nodeid: item.get_closest_marker("xdist_group") for item in items}
        Path(file).write_text(
            json.dumps({test: mark.args[0] for test, mark in marks.items() if mark}), encoding="utf-8"
        )
