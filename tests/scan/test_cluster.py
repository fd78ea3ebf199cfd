"""Ray as a scan uses it: what this machine lacks, or cannot reach, is told instead of waited for."""

from typing import Any, cast

import pytest

pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")

import ray

from scan import cluster, embedded
from scan.source import WrongUse


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scorers_leave_room_for_decoding_and_gpus_that_this_machine_lacks_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, there = embedded.start, {}

    def started(cpus: int) -> None:
        start(cpus)
        there.update(cast(Any, ray).cluster_resources())

    monkeypatch.setattr(embedded, "start", started)
    with (
        pytest.raises(WrongUse, match="3 scorers of 1000 GPUs each need more than the"),
        cluster.session(None, 2, scorers=3, gpus=1000.0),
    ):
        pass
    assert there["CPU"] == 8
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("gpus", "there", "holds"), [(1, 2, 2), (2, 3, 1), (0.5, 1, 2), (0.6, 2, 2), (0.1, 1, 10), (1, 0, 0)]
)
def test_a_scorer_takes_a_share_of_one_gpu_or_whole_ones(gpus: float, there: float, holds: int) -> None:
    assert cluster.scorers_on(there, gpus) == holds


def test_more_than_a_gpu_is_a_whole_number() -> None:
    with pytest.raises(WrongUse, match=r"1\.5 GPUs"), cluster.session("auto", 1, gpus=1.5):
        pass


@pytest.mark.parametrize("error", [ConnectionError("no Ray there"), ValueError("no address"), SystemExit(15)])
def test_a_cluster_that_is_not_there_is_told(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(WrongUse, match="no Ray was reached at auto"), cluster.session("auto", 1):
        pass
