"""Streams that are cut, calls that are given up, and uploads that tear; at the peer nothing may stay behind."""

import asyncio
import io
import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from bonafide_client import (
    AsyncBonafideClient,
    BonafideClient,
    ChunkScore,
    DeadlineExceeded,
    Internal,
    Overloaded,
    Progress,
    TooLarge,
    Unavailable,
)

from .conftest import Twin
from .peer import Failure, Peer

LARGE = 64 * 2**20


async def until(true: Callable[[], Any]) -> None:
    """Waits, at most 5 s, for something that happens in the peer."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_cut_stream_gives_what_came_and_then_the_error(twin: Twin, peer: Peer) -> None:
    peer.scores, peer.cut_after = [0.1] * 5, 2
    with pytest.raises(Unavailable, match="cut"):
        await twin.ask("iter_object", "b", "k")
    assert [event.chunk_id for event in twin.events] == ["chunk_0", "chunk_1"]
    assert len(peer.calls) == 1, "what has begun to answer must not be asked again"


async def test_a_stream_that_the_service_cancels_is_unavailable(twin: Twin, peer: Peer) -> None:
    peer.cut_after, peer.cut = 1, Failure(grpc.StatusCode.CANCELLED, "shutting down")
    for verb, args in (("iter_object", ("b", "k")), ("analyze_file", (b"x",))):
        with pytest.raises(Unavailable, match="shutting down"):
            await twin.ask(verb, *args)


async def test_a_stream_without_a_summary_is_no_verdict(twin: Twin, peer: Peer) -> None:
    peer.silent_end = True
    for verb, args in (("iter_object", ("b", "k")), ("analyze_file", (b"x",))):
        with pytest.raises(Internal, match="without a verdict"):
            await twin.ask(verb, *args)
    peer.scores = []
    with pytest.raises(Internal, match="without a verdict"):
        await twin.ask("iter_object", "b", "k")


async def test_closing_the_iterator_cancels_the_call(address: str, peer: Peer) -> None:
    peer.scores, peer.delay_s = [0.1] * 1000, 0.02
    with BonafideClient(address) as client:
        events = client.iter_object("b", "k")
        assert isinstance(next(events), ChunkScore)
        events.close()
        await until(peer.calls[0].ended.is_set)
    async with AsyncBonafideClient(address) as aclient, aclosing(aclient.iter_object("b", "k")) as aevents:
        async for _ in aevents:
            break
    await until(peer.calls[1].ended.is_set)


@pytest.mark.parametrize("verb", ["analyze_object", "analyze_file", "predict_liveness"])
async def test_cancelling_the_task_cancels_the_call(address: str, peer: Peer, verb: str) -> None:
    peer.delay_s = 60
    async with AsyncBonafideClient(address) as client:
        args = ("b", "k") if verb == "analyze_object" else (b"x",)
        task = asyncio.create_task(getattr(client, verb)(*args))
        await until(lambda: peer.calls)
        assert not peer.calls[0].ended.is_set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(peer.calls[0].ended.is_set)


async def test_closing_the_blocking_client_ends_its_calls(address: str, peer: Peer) -> None:
    peer.delay_s = 60
    client = BonafideClient(address)
    task = asyncio.create_task(asyncio.to_thread(client.analyze_object, "b", "k"))
    await until(lambda: peer.calls)
    client.close()
    with pytest.raises(Unavailable):
        await task
    await until(peer.calls[0].ended.is_set)


class FailingFile(io.BytesIO):
    """A file that fails in its middle, as a disk or a network share does."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 300_000:
            raise OSError(5, "Input/output error")
        return super().read(size)


async def test_a_file_that_fails_is_not_judged(twin: Twin, peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        await twin.ask("analyze_file", FailingFile(bytes(2_000_000)))
    await until(lambda: peer.calls and peer.calls[0].ended.is_set())
    assert not peer.calls[0].complete
    assert not [record for record in caplog.records if record.name.startswith(("grpc", "bonafide"))]


async def test_a_callback_that_raises_ends_the_call(twin: Twin, peer: Peer) -> None:
    def fails(progress: Progress) -> None:
        if progress.sent_bytes > 500_000:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await twin.ask("analyze_file", bytes(2_000_000), on_progress=fails)
    # It may be over before the peer hears of it.
    await until(lambda: all(call.ended.is_set() for call in peer.calls))
    assert not any(call.complete for call in peer.calls)


class SlowFile(io.BytesIO):
    """A file on a slow share: each part is on its way for a while."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.2)
        return super().read(size)


async def test_a_file_object_may_be_judged_again_as_soon_as_it_was_refused(twin: Twin, peer: Peer) -> None:
    peer.failures.append(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "overloaded"))
    recording = SlowFile(b"head" + bytes(300_000) + b"tail")
    with pytest.raises(Overloaded):
        await twin.ask("analyze_file", recording)
    assert recording.tell() in (0, 262_144)
    recording.seek(0)
    await twin.ask("analyze_file", recording)
    assert b"".join(part.data for part in peer.calls[1].parts) == recording.getvalue()


async def test_a_file_object_is_not_read_once_its_call_was_cancelled(address: str, peer: Peer) -> None:
    recording = SlowFile(bytes(3_000_000))
    async with AsyncBonafideClient(address) as client:
        task = asyncio.create_task(client.analyze_file(recording))
        await until(lambda: peer.calls)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        place = recording.tell()
        await asyncio.sleep(0.3)
        assert recording.tell() == place


async def test_a_text_file_object_is_refused(twin: Twin) -> None:
    for verb in ("analyze_file", "predict_liveness"):
        with pytest.raises(TypeError, match="binary"):
            await twin.ask(verb, io.StringIO("text"))


async def test_a_file_that_is_not_there_is_not_asked_about(twin: Twin, peer: Peer, tmp_path: Path) -> None:
    for verb in ("analyze_file", "predict_liveness"):
        with pytest.raises(FileNotFoundError):
            await twin.ask(verb, tmp_path / "none.wav")
        with pytest.raises(IsADirectoryError):
            await twin.ask(verb, str(tmp_path))
    assert not peer.calls


async def test_an_upload_that_is_refused_early_stops(twin: Twin, peer: Peer) -> None:
    peer.ends_early = Failure(grpc.StatusCode.INVALID_ARGUMENT, "enough", "too_large")
    with open("/dev/zero", "rb") as endless:  # noqa: PTH123, ASYNC230
        for _ in range(20):  # grpc.aio loses the status of most such calls
            with pytest.raises(TooLarge, match="enough"):
                await twin.ask("analyze_file", endless)


async def test_an_empty_recording_is_sent_so_that_the_service_can_say_so(twin: Twin, peer: Peer) -> None:
    await twin.ask("analyze_file", b"", task_id="t")
    assert [(part.data, part.task_id) for part in peer.calls[0].parts] == [(b"", "t")]


async def test_progress_counts_bytes_and_then_chunks(twin: Twin, peer: Peer) -> None:
    seen: list[Progress] = []
    peer.scores = [0.1, 0.2, 0.3]
    await twin.ask("analyze_file", bytes(600_000), on_progress=seen.append)
    assert [step.sent_bytes for step in seen[:3]] == [262_144, 524_288, 600_000]
    assert {step.total_bytes for step in seen} == {600_000}
    assert [(step.done_chunks, step.total_chunks) for step in seen[2:]] == [(0, None), (1, 3), (2, 3), (3, 3)]


async def test_what_the_caller_opened_stays_open_and_is_read_from_where_it_is(twin: Twin, peer: Peer) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"headbody")
        file.seek(4)
        seen: list[Progress] = []
        await twin.ask("analyze_file", file, on_progress=seen.append)
        assert not file.closed
    assert peer.calls[0].parts[0].data == b"body"
    assert seen[0] == Progress(4, 4)


async def test_a_pipe_has_no_size(twin: Twin, peer: Peer) -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as file:  # noqa: PTH123, ASYNC230
        os.write(writer, b"x" * 10_000)
        os.close(writer)
        seen: list[Progress] = []
        await twin.ask("analyze_file", file, on_progress=seen.append)
    assert seen[0] == Progress(10_000, None)
    assert b"".join(part.data for part in peer.calls[0].parts) == b"x" * 10_000


@pytest.mark.parametrize("verb", ["analyze_file", "predict_liveness"])
async def test_a_named_pipe_that_nobody_writes_holds_up_neither_loop_nor_deadline(
    address: str, tmp_path: Path, verb: str
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opener = threading.Timer(5, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))  # ends what still waits
    opener.start()
    try:
        async with AsyncBonafideClient(address) as client:
            ticking = asyncio.create_task(asyncio.sleep(0.1))
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await getattr(client, verb)(path, timeout_s=0.3)
            assert ticking.done()
            assert time.monotonic() - begin < 3
    finally:
        opener.cancel()
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


@pytest.mark.slow
async def test_a_large_file_is_never_held_whole(
    twin: Twin, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(LARGE)

    class Forgetful(list[Any]):
        def append(self, part: Any) -> None:
            self.size = getattr(self, "size", 0) + len(part.data)

    begin = peer._begin

    def begin_and_forget(*args: Any) -> Any:
        call = begin(*args)
        call.parts = Forgetful()
        return call

    monkeypatch.setattr(peer, "_begin", begin_and_forget)
    tracemalloc.start()
    try:
        await twin.ask("analyze_file", path)
        assert tracemalloc.get_traced_memory()[1] < LARGE / 4
    finally:
        tracemalloc.stop()
    parts: Any = peer.calls[0].parts
    assert parts.size == LARGE
