import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from threading import Thread
from typing import Any

import numpy as np
import pytest

from bonafide.audio.container_reader import ContainerReader
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.decoders import worker as worker_module
from bonafide.decoders.frames import packed, read_frame
from bonafide.decoders.limits import CpuBound
from bonafide.decoders.worker import serve
from bonafide.settings import Settings
from tests.media import encode, speech_like

LIMITS = AudioLimits.from_settings(Settings())
HEADER = {"do": "none", "memory": 2**50}
STEP = packed(HEADER, 0)
FILE = packed(HEADER, 3) + b"abc"


@pytest.mark.parametrize("unread", [b"", b"a reply: the kernel then resets the connection"], ids=["read", "unread"])
@pytest.mark.parametrize(
    "sent", [STEP[:size] for size in range(len(STEP))] + [FILE[:size] for size in range(len(FILE))]
)
def test_a_message_that_breaks_off(sent: bytes, unread: bytes) -> None:
    # The process ends without a word: a traceback would look like a bug.
    ours, theirs = socket.socketpair()
    theirs.sendall(unread)
    ours.sendall(sent)
    ours.close()
    serve(theirs)


def asked(connection: socket.socket, header: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
    """The header of the reply."""
    connection.sendall(packed({"memory": 2**50, **header}, len(payload)) + payload)
    with connection.makefile("rb") as stream:
        reply = read_frame(stream)
    assert reply is not None
    return reply.header


@pytest.fixture
def worker() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    serving = Thread(target=serve, args=(theirs,))
    serving.start()
    with ours:
        yield ours
    serving.join()


@pytest.fixture(autouse=True)
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds are those of a process, and this one has more to do."""
    monkeypatch.setattr(worker_module, "bound_memory", lambda _: None)
    monkeypatch.setattr(CpuBound, "begin_step", lambda *_: None)


def begin(limits: AudioLimits = LIMITS) -> dict[str, Any]:
    return {"do": "audio", "limits": asdict(limits), "windows": 4, "before": 0, "hop_s": 4.0, "channel_mode": "auto"}


def test_a_short_recording_ends_with_its_windows(worker: socket.socket) -> None:
    reply = asked(worker, begin(), encode(speech_like(9.0), 16_000))
    assert (len(reply["windows"]), reply["end"], reply["seconds"]) == (3, True, 9.0)


def test_a_full_step_leaves_the_end_to_the_next(worker: socket.socket) -> None:
    reply = asked(worker, begin(), encode(speech_like(16.0), 16_000))
    assert len(reply["windows"]) == 4
    assert "end" not in reply
    assert "windows" not in (end := asked(worker, {"do": "next"}))
    assert end["end"]


def test_what_fails_after_windows_fails_in_the_step_after_them(worker: socket.socket) -> None:
    joined = encode(speech_like(4.0), 16_000) + encode(speech_like(30.0, 8_000), 8_000)
    limits = replace(LIMITS, max_seconds=10)
    first = asked(worker, begin(limits), joined)
    assert (len(first["windows"]), "end" in first) == (1, False)
    assert asked(worker, {"do": "next"})["error"] == "too_large"


def test_channels_that_change_with_every_packet_are_refused(
    worker: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = np.zeros(1, np.float32)
    changing = [Block(sample, 48_000, channels) for channels in (1, 2)] * 3_000
    monkeypatch.setattr(ContainerReader, "feed", lambda *_: changing)
    begin = {"do": "container", "limits": asdict(LIMITS), "most_s": 60.0, "channel_mode": "mix"}
    assert "channels" in asked(worker, begin, b"OggS")["message"]
