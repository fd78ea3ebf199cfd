"""`bonafide live` as a script or a person meets it."""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bonafide_client.cli import main

from .command import COMMAND, bonafide, bonafide_within, environment, redirected
from .live_peer import LivePeer
from .test_live_sources import write_wav


@pytest.fixture
def live() -> Iterator[LivePeer]:
    """The peer on a loop of its own, beside the processes that the tests wait for."""
    peer, listens, done = LivePeer(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with peer.listening():
            listens.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert listens.wait(20)
    yield peer
    loop.call_soon_threadsafe(done.set)
    thread.join(20)
    loop.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three seconds, of which the peer takes the last two for spoof."""
    levels = np.repeat([0.1, 0.8, 0.9], 8_000) * 32768
    return write_wav(tmp_path / "a.wav", levels.astype(np.int16)[:, None], 8_000)


def test_a_line_per_window_and_the_verdict(live: LivePeer, recording: Path) -> None:
    done = bonafide("live", recording, "--url", live.url)
    assert (done.returncode, done.stderr) == (1, "")
    first, second, _, verdict, model, demo = [line.split() for line in done.stdout.splitlines()]
    assert first == ["0:00.0", "0:01.0", "0.100", "##..................", "bonafide", "so", "far", "bonafide", "0.100"]
    assert second[2:5] == ["0.800", "################....", "spoof"]
    assert " ".join(verdict[:4]) == "SPOOF score 0.600, threshold"
    assert model[:2] == ["model", "wavlm-peer"]
    assert demo[0] == "DEMONSTRATION"


def test_json_has_a_document_per_window_and_one_for_the_summary(
    live: LivePeer, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BONAFIDE_LIVE_URL", live.url)
    assert main(["live", str(recording), "--json", "--chunk", "1.5", "--overlap", "0.5"]) == 1
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["type"] for document in documents] == ["window"] * 3 + ["summary"]
    assert (documents[1]["start_s"], documents[1]["end_s"], documents[1]["sequence"]) == (1.0, 2.5, 1)
    assert documents[-1]["label"] == "spoof"
    assert live.connections[0][1]["chunk_duration"] == 1.5


def test_windows_that_cannot_be_printed_are_no_fault_of_the_file(live: LivePeer, recording: Path) -> None:
    done = redirected("live", recording, "--url", live.url, streams=">/dev/full")
    assert (done.returncode, done.stderr) == (
        4, "bonafide: error: the output cannot be written: No space left on device\n",
    )  # fmt: skip


def test_exit_codes(live: LivePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = write_wav(tmp_path / "quiet.wav", np.zeros((8_000, 1), np.int16), 8_000)
    short = write_wav(tmp_path / "short.wav", np.zeros((80, 1), np.int16), 8_000)

    def bonafide_live(*words: str | Path) -> tuple[int, str]:
        try:
            code = main(["live", *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().out

    code, out = bonafide_live(quiet, "--url", live.url, "-q")
    assert (code, out.count("\n"), out[:9]) == (0, 1, "BONA FIDE")
    code, out = bonafide_live(short, "--url", live.url)
    assert (code, out[:9]) == (3, "NO SPEECH")
    code, out = bonafide_live("none.wav", "--url", live.url, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (3, "file_error")
    assert bonafide_live(quiet, "--url", "ws://127.0.0.1:1/")[0] == 4
    assert bonafide_live(quiet, "--url", "http://localhost")[0] == 2
    assert bonafide_live()[0] == 2
    assert bonafide_live(quiet, "--microphone")[0] == 2


def test_speech_without_a_verdict_is_no_success(live: LivePeer, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.full((24_000, 1), 3_277, np.int16), 8_000)
    live.unjudged = {1}
    done = bonafide_within("live", path, "--url", live.url)
    assert done.returncode == 3
    assert "not all of it was judged: 1.0 s have no verdict" in done.stdout
    done = bonafide_within("live", path, "--url", live.url, "--json")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["unjudged_seconds"]) == (3, 1.0)


_MICROPHONE = """
class PortAudioError(Exception): ...

class RawInputStream:
    def __init__(self, blocksize, callback, **_):
        self.block, self.callback = bytes(4 * blocksize), callback

    def __enter__(self):
        for _ in range(5):
            self.callback(self.block, len(self.block) // 4, None, None)

    def __exit__(self, *_): ...
"""


@pytest.fixture
def listening(live: LivePeer, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command, heard by `live`, with a microphone that gives 1.25 s of audio and then nothing more."""
    (tmp_path / "sounddevice.py").write_text(_MICROPHONE)
    inherited = environment()
    path = os.pathsep.join([str(tmp_path), inherited["PYTHONPATH"]])
    process = subprocess.Popen(
        [COMMAND, "live", "--microphone", "--url", live.url, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=inherited | {"PYTHONPATH": path},
    )  # fmt: skip
    with process:
        end = time.monotonic() + 30
        while not live.audio_frames and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        yield process
        process.kill()


def test_ctrl_c_ends_a_microphone_that_has_gone_silent_with_the_verdict(listening: "subprocess.Popen[str]") -> None:
    listening.send_signal(signal.SIGINT)
    out, err = listening.communicate(timeout=20)
    last = json.loads(out.splitlines()[-1])
    assert (listening.returncode, err, last["type"], last["windows"][-1]["end_s"]) == (0, "", "summary", 1.25)


def test_ctrl_c_again_ends_it_while_the_service_gives_no_answer(live: LivePeer, request: pytest.FixtureRequest) -> None:
    live.mute = True
    listening = request.getfixturevalue("listening")
    listening.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        listening.wait(0.5)
    listening.send_signal(signal.SIGINT)
    assert (listening.communicate(timeout=20), listening.returncode) == (("", "interrupted\n"), 130)


def test_the_channels_of_a_file_are_sent_where_a_choice_is_made(live: LivePeer, tmp_path: Path) -> None:
    both = np.stack([np.full(16_000, 8_192), np.full(16_000, -8_192)], axis=1).astype(np.int16)
    path = write_wav(tmp_path / "call.wav", both, 8_000)
    done = bonafide_within("live", path, "--channel-mode", "1", "--url", live.url)
    assert "BONA FIDE" in done.stdout
    (config,) = [each for each in live.connections[0] if isinstance(each, dict) and each["type"] == "config"]
    assert (config["channels"], config["channel_mode"]) == (2, "1")
    assert sum(map(len, live.audio_frames)) == both.size * 4
    assert bonafide_within("live", tmp_path / "none.wav", "--channels", "auto", "--url", live.url).returncode == 3
    assert bonafide_within("live", "--microphone", "--channel-mode", "mix", "--url", live.url).returncode == 2
