import asyncio
import time
from typing import Any

import numpy as np
import pytest

from bonafide.calls import Call
from bonafide.errors import BonafideError, DeadlineExceeded, Internal, ModelChanged, Overloaded, Unavailable
from bonafide.runner.remote import ModelRefused, RunnerResult
from bonafide.runner.runner import BATCHES_AHEAD, Runner, watch
from bonafide.security.caller import set_caller
from tests.bonafide.fakes import INFO, MODEL, LocalRemote, Recorder, ready_runner

ITEM = np.ones(4, np.uint8)


async def test_scores_in_order() -> None:
    runner = await ready_runner(LocalRemote(), float)
    items = [np.array([0, 0, 0, 1], np.uint8), np.array([1, 1, 1, 1], np.uint8)]
    assert await runner.score(items, Call.within(5), MODEL) == [0.25, 1.0]


async def test_one_call_too_many_is_refused_at_once_and_told_when_to_come_again() -> None:
    runner = await ready_runner(LocalRemote(), float, max_calls=2)
    with runner.admit(), runner.admit():
        began = time.monotonic()
        with pytest.raises(Overloaded) as refused, runner.admit():
            pass
        assert time.monotonic() - began < 0.1
        assert refused.value.retry_after_s >= 1
    with runner.admit():
        assert runner.active_calls == 1


async def test_only_a_few_batches_wait_in_bentoml() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float, max_batch=4)
    await asyncio.gather(*(runner.score([ITEM] * 3, Call.within(5), MODEL) for _ in range(20)))
    assert remote.most_in_progress <= BATCHES_AHEAD * 4
    assert remote.scored == 60


async def test_batches_follow_what_the_runner_says() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float, max_batch=4)
    remote.model = {**remote.model, "max_batch_size": 64}  # it was started again, with a GPU
    await runner.probe()
    assert runner.max_batch == 64
    await asyncio.gather(*(runner.score([ITEM] * 64, Call.within(5), MODEL) for _ in range(10)))
    assert remote.most_in_progress == BATCHES_AHEAD * 64


async def test_neither_another_key_nor_a_live_session_waits_behind_many_recordings() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float, max_batch=4)
    ended = []

    async def scores(name: str, *, key: str, live: bool = False) -> None:
        set_caller(key)
        await runner.score([ITEM] * 4, Call.within(5), MODEL, live=live)
        ended.append(name)

    async with asyncio.TaskGroup() as calls:
        for _ in range(20):
            calls.create_task(scores("recording", key="ann"))
        calls.create_task(scores("live", key="ann", live=True))
        calls.create_task(scores("other", key="bob"))
    assert {ended.index("live"), ended.index("other")} <= {2, 3, 4}


async def test_a_deadline_ends_the_wait_and_frees_the_place() -> None:
    remote = LocalRemote()
    remote.open.clear()
    runner = await ready_runner(remote, float)
    with pytest.raises(DeadlineExceeded):
        await runner.score([ITEM], Call.within(0.05), MODEL)
    remote.open.set()
    assert await runner.score([ITEM], Call.within(5), MODEL) == [1.0]


async def test_a_cancelled_call_leaves_the_queue_and_its_batch_keeps_its_room_until_it_is_computed() -> None:
    remote = LocalRemote()
    remote.open.clear()
    runner = await ready_runner(remote, float, max_batch=4)
    tasks = [asyncio.create_task(runner.score([ITEM] * 4, Call.within(5), MODEL)) for _ in range(6)]
    await asyncio.sleep(0.01)
    assert remote.calls == BATCHES_AHEAD
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    late = asyncio.create_task(runner.score([ITEM], Call.within(5), MODEL))
    await asyncio.sleep(0.01)
    assert remote.calls == BATCHES_AHEAD, "cancelled callers must not let others pile up behind a busy runner"
    remote.open.set()
    assert await late == [1.0]
    assert remote.calls == BATCHES_AHEAD + 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("connection refused"), Unavailable),
        (TimeoutError(), Unavailable),
        (Overloaded("busy"), Overloaded),
        (DeadlineExceeded("late"), DeadlineExceeded),
        (Internal("broken"), Internal),
    ],
)
async def test_what_the_runner_raises_becomes_an_error_of_the_table(
    raised: Exception, expected: type[BonafideError]
) -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float)
    remote.errors = [raised]
    with pytest.raises(expected):
        await runner.score([ITEM], Call.within(5), MODEL)
    assert runner.ready == (expected is not Unavailable)


async def test_a_second_replica_lets_twice_as_much_in() -> None:
    class Two(LocalRemote):
        @property
        def replicas(self) -> int:
            return 2

    remote = Two()
    runner = await ready_runner(remote, float, max_batch=4)
    await asyncio.gather(*(runner.score([ITEM] * 4, Call.within(5), MODEL) for _ in range(20)))
    assert remote.most_in_progress == 2 * BATCHES_AHEAD * 4


async def test_a_wrong_number_of_answers_is_an_error() -> None:
    class Short(LocalRemote):
        async def score(self, items: list[np.ndarray]) -> list[RunnerResult]:
            return (await super().score(items))[:-1]

    runner = await ready_runner(Short(), float)
    with pytest.raises(Internal, match="1 of 2"):
        await runner.score([ITEM, ITEM], Call.within(5), MODEL)


async def test_another_model_than_the_calls_own_gives_it_no_scores() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float)
    model = runner.info
    remote.model = INFO | {"version": "another"}
    with pytest.raises(ModelChanged):
        await runner.score([ITEM], Call.within(5), model)
    await runner.probe()
    assert await runner.score([ITEM], Call.within(5), runner.info) == [1.0]


@pytest.mark.parametrize(
    "gone",
    [
        ConnectionError("nobody answers"),
        KeyError("what an older release does not tell"),
        AttributeError("a bug of ours"),
    ],
)
async def test_a_runner_that_is_gone_is_not_ready_until_it_answers_again(gone: Exception) -> None:
    class Gone(LocalRemote):
        gone: Exception | None = None

        async def info(self) -> dict[str, Any]:
            if self.gone:
                raise self.gone
            return await super().info()

    remote = Gone()
    runner = await ready_runner(remote, float)
    remote.gone = gone
    await runner.probe()
    assert not runner.ready
    with pytest.raises(Unavailable):
        _ = runner.info
    remote.gone = None
    await runner.probe()
    assert runner.ready


async def test_a_probe_that_hangs_delays_no_report_and_no_other_runner() -> None:
    class Hanging(LocalRemote):
        async def info(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

    hanging = Runner("hanging", Hanging(), read=float, max_calls=1, observer=Recorder())
    answering = Runner("answering", LocalRemote(), read=float, max_calls=1, observer=Recorder())
    reports: list[tuple[bool, bool]] = []

    async def changed() -> None:
        reports.append((hanging.ready, answering.ready))

    watching = asyncio.create_task(watch((hanging, answering), changed))
    async with asyncio.timeout(5):
        while (False, True) not in reports:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()


async def test_the_watch_outlasts_any_error_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(LocalRemote):
        failing = True

        async def info(self) -> dict[str, Any]:
            if self.failing:
                raise AttributeError("a bug of ours")
            return await super().info()

    remote = Failing()
    runner = Runner("failing", remote, read=float, max_calls=1, observer=Recorder())
    reports: list[bool] = []

    async def changed() -> None:
        reports.append(runner.ready)
        if len(reports) < 3:
            raise ValueError("a report that fails")

    watching = asyncio.create_task(watch((runner,), changed))
    async with asyncio.timeout(10):
        while len(reports) < 4:
            await asyncio.sleep(0.01)
        remote.failing = False
        while not reports[-1]:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()
    failures = [record for record in caplog.records if record.exc_info]
    assert sorted(str(record.exc_info[1]) for record in failures if record.exc_info) == [
        "a bug of ours",
        "a report that fails",
    ]


async def test_calls_go_on_with_the_model_that_they_began_with() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float)
    began_with = runner.info
    model, replicas = await runner.replace("new", None)
    assert (model.name, replicas) == ("new", 1)
    assert runner.info == model
    scored = remote.scored
    assert await runner.score([ITEM], Call.within(5), began_with) == [1.0]
    assert remote.scored == scored, "by the model before, without asking the new one"
    assert await runner.score([ITEM], Call.within(5), model) == [1.0]
    remote.previous = None
    with pytest.raises(ModelChanged):
        await runner.score([ITEM], Call.within(5), began_with)


async def test_another_process_of_the_service_learns_of_it_by_the_answers() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float)
    await remote.replace("new", None)
    assert await runner.score([ITEM], Call.within(5), runner.info) == [1.0]
    await runner.probe()
    assert runner.info.name == "new"
    assert await runner.score([ITEM], Call.within(5), runner.info) == [1.0]


async def test_a_replacement_that_fails_changes_nothing() -> None:
    remote = LocalRemote()
    runner = await ready_runner(remote, float)
    before = runner.info
    remote.refused = ModelRefused("there is no such folder")
    with pytest.raises(ModelRefused, match="no such folder"):
        await runner.replace("new", None)
    remote.refused = ConnectionError("nobody answers")
    with pytest.raises(Unavailable):
        await runner.replace("new", None)
    assert runner.info == before
    remote.refused = None
    remote.open.clear()
    first = asyncio.create_task(runner.replace("new", None))
    await asyncio.sleep(0)
    with pytest.raises(ModelRefused, match="being loaded") as refused:
        await runner.replace("newer", None)
    assert refused.value.busy
    remote.open.set()
    assert (await first)[0].name == "new"
