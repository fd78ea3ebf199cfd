"""Who asked for a job is told of its end, signed, until it can be told."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bonafide.jobs import worker
from bonafide.jobs.job import Job
from bonafide.jobs.sqlite import SqliteJobs
from bonafide.jobs.worker import Deliver
from bonafide.live.webhook import Webhook
from tests.bonafide.jobs.local_work import described, store_of, worker_of
from tests.bonafide.live.receiver import receiver
from tests.servers import free_port

SECRET = "a-secret-of-the-webhook"
ATTEMPTS = 5
"""Of one round."""
AT_A_TIME = 8


async def created(store: SqliteJobs, url: str) -> Job:
    job = Job(uuid.uuid4().hex, "ann", "calls", "normal", "waiting", 1, time.time(), callback_url=url)
    return await store.create(job, ["a.wav"])


@asynccontextmanager
async def working(store: SqliteJobs, deliver: Deliver | None = None) -> AsyncIterator[None]:
    """Args: deliver: tells callers; None: a webhook does."""
    webhook = Webhook("", SECRET, first_pause_s=0.001)
    telling = worker_of(store, deliver=deliver or webhook.deliver)
    telling.start()
    try:
        yield
    finally:
        await telling.stop()
        await webhook.close()
        await store.close()


def signed(head: str, body: bytes) -> bool:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return f"x-bonafide-signature: sha256={signature}" in head.lower().splitlines()


async def told_all(store: SqliteJobs) -> None:
    """Returns when nobody is to be told any more, now or later."""
    async with asyncio.timeout(60):
        while await store._run(lambda db: db.execute("SELECT 1 FROM jobs WHERE callback_due NOT NULL").fetchone()):
            await asyncio.sleep(0.02)


async def test_a_whole_round_is_refused_and_the_next_is_signed_too(tmp_path: Path) -> None:
    store = store_of(tmp_path / "jobs.db")
    async with receiver() as told, working(store):
        told.answers = [*[503] * ATTEMPTS, 200]
        job = await created(store, told.url)
        await told.wait_for(ATTEMPTS + 1)
        await told_all(store)
        assert len(told.bodies) == ATTEMPTS + 1
        assert all(signed(head, body) for head, body in zip(told.heads, told.bodies, strict=True))
        done = await store.get(job.job_id)
        assert done is not None
        assert [json.loads(body) for body in told.bodies] == [described(done)] * (ATTEMPTS + 1)
        assert done.state == "done"


async def test_a_receiver_that_is_not_there_yet_is_told_later(tmp_path: Path) -> None:
    store, port = store_of(tmp_path / "jobs.db"), free_port()
    async with working(store):
        job = await created(store, f"http://127.0.0.1:{port}/verdicts")
        async with asyncio.timeout(60):
            while (found := await store.get(job.job_id)) is None or found.state != "done":
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        async with receiver(port) as told:
            await told.wait_for(1)
            assert signed(told.heads[0], told.bodies[0])


async def test_who_does_not_want_it_is_not_told_again(tmp_path: Path) -> None:
    store = store_of(tmp_path / "jobs.db")
    async with receiver() as told, working(store):
        told.answers = [410]
        await created(store, told.url)
        await told.wait_for(1)
        await told_all(store)
        assert len(told.bodies) == 1


async def test_a_bug_in_telling_one_caller_is_a_failed_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_CALLBACK_ROUNDS", 3)
    store, told = store_of(tmp_path / "jobs.db"), []

    async def deliver(_document: bytes, url: str) -> str:
        told.append(url)
        if url == "bad":
            raise RuntimeError("a bug")
        return "delivered"

    async with working(store, deliver):
        await created(store, "bad")
        await created(store, "good")
        await told_all(store)
    assert told.count("good") == 1
    assert told.count("bad") == 3
    assert "a bug" in caplog.text
    assert "was not told" in caplog.text


async def test_a_job_that_cannot_be_read_ends_no_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path / "jobs.db")
    for name in ("take", "take_callback", "waiting"):
        monkeypatch.setattr(store, name, failing_once(getattr(store, name)))
    async with receiver() as told, working(store):
        await created(store, told.url)
        await told.wait_for(1)
    assert caplog.text.count("KeyError") >= 3


def failing_once(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    failures = [KeyError("a field of another release")]

    async def call(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return await method(*arguments)

    return call


async def test_who_answers_slowly_holds_up_no_other(tmp_path: Path) -> None:
    store, told, answered = store_of(tmp_path / "jobs.db"), asyncio.Event(), asyncio.Event()

    async def deliver(_document: bytes, url: str) -> str:
        if url == "slow":
            await answered.wait()
        else:
            told.set()
        return "delivered"

    async with working(store, deliver):
        await created(store, "slow")
        await created(store, "quick")
        async with asyncio.timeout(30):
            await told.wait()
        answered.set()
        await told_all(store)


async def test_so_many_callers_are_told_at_a_time(tmp_path: Path) -> None:
    store, answered, telling = store_of(tmp_path / "jobs.db"), asyncio.Event(), set()

    async def deliver(document: bytes, _url: str) -> str:
        telling.add(document)
        await answered.wait()
        return "delivered"

    async with working(store, deliver):
        for _ in range(AT_A_TIME + 2):
            await created(store, "slow")
        async with asyncio.timeout(60):
            while len(telling) < AT_A_TIME:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        assert len(telling) == AT_A_TIME
        answered.set()
        await told_all(store)
        assert len(telling) == AT_A_TIME + 2
