"""The command `bonafide` before a person: bars, colours, Ctrl-C, and a pipe whose reader goes away."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import COMMAND, environment
from .peer import Peer
from .signer import Signer


class Terminal:
    """Runs the command with a terminal for stdout and stderr, as a person does."""

    def __init__(self, *words: str | Path, **extra: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment(COLUMNS="100", PYTHONUTF8="1", **extra),
        )  # fmt: skip
        os.close(theirs)

    def read(self) -> str:
        """Everything up to the end."""
        data = b""
        while True:
            try:
                data += os.read(self._ours, 65536)
            except OSError:  # the other side is closed
                os.close(self._ours)
                self.process.wait(30)
                return data.decode()


def test_a_terminal_gets_bars_and_colours(address: str, peer: Peer, files: list[Path]) -> None:
    peer.scores, peer.delay_s = [0.1, 0.9, 0.5], 0.3
    text = Terminal("audio", files[0], "--address", address).read()
    assert "1/3 chunks scored" in text
    assert "██████████████████" in text
    assert "\x1b[1;31mSPOOF" in text
    assert "\x1b[32mbonafide" in text


def test_no_color_is_honoured(address: str, files: list[Path]) -> None:
    text = Terminal("audio", files[0], "--address", address, NO_COLOR="1").read()
    assert "BONA FIDE" in text
    colours = [
        code for codes in re.findall(r"\x1b\[([\d;]*)m", text) for code in codes.split(";")
        if code and (30 <= int(code) <= 49 or 90 <= int(code) <= 107)
    ]  # fmt: skip
    assert colours == []


def test_ctrl_c_cancels_the_calls(address: str, peer: Peer, files: list[Path]) -> None:
    peer.delay_s = 60
    with subprocess.Popen(
        [COMMAND, "audio", *map(str, files), "--concurrency", "2", "--address", address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while len(peer.calls) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")
    assert len(peer.calls) == 2
    assert all(call.ended.wait(30) for call in peer.calls)


@pytest.fixture
def silent() -> Iterator[tuple[int, Path]]:
    """A pipe that is open, brings little and then nothing more; its descriptor and its path."""
    reader, writer = os.pipe()
    os.write(writer, b"RIFF")
    yield reader, Path(f"/dev/fd/{reader}")
    os.close(reader)
    os.close(writer)


def started(*words: str | Path, stdin: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [COMMAND, *words], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        pass_fds=[stdin],
    )  # fmt: skip


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit code and stderr, soon."""
    with process:
        try:
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, err.decode()


def until_read(pipe: int) -> None:
    """Returns when what the pipe brought has been read."""
    end, waiting = time.monotonic() + 60, bytearray(4)
    while fcntl.ioctl(pipe, termios.FIONREAD, waiting) == 0 and any(waiting):
        assert time.monotonic() < end, "nothing reads the pipe"
        time.sleep(0.05)


@pytest.mark.parametrize("verb", ["audio", "face"])
@pytest.mark.parametrize("by_path", [False, True])
def test_ctrl_c_ends_it_while_a_pipe_is_silent(
    address: str, silent: tuple[int, Path], verb: str, by_path: bool
) -> None:
    reader, path = silent
    process = started(verb, path if by_path else "-", "--address", address, stdin=reader)
    until_read(reader)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "interrupted\n")


def test_ctrl_c_ends_it_while_a_list_of_keys_is_silent(address: str, silent: tuple[int, Path]) -> None:
    process = started("jobs", "create", "--bucket", "calls", "-", "--address", address, stdin=silent[0])
    until_read(silent[0])
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "interrupted\n")


@pytest.mark.parametrize("read", ["keys", "record", "file"])
def test_ctrl_c_ends_it_while_what_is_verified_is_silent(silent: tuple[int, Path], tmp_path: Path, read: str) -> None:
    signer = Signer()
    (tmp_path / "keys").write_text(signer.jwks())
    (tmp_path / "record").write_text(signer.record(b"RIFF"))
    (tmp_path / "file").write_bytes(b"RIFF")
    paths = {name: tmp_path / name for name in ("keys", "record", "file")} | {read: silent[1]}
    process = started("verify", paths["file"], paths["record"], "--key", paths["keys"], stdin=silent[0])
    until_read(silent[0])
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "interrupted\n")


@pytest.mark.parametrize("verb", ["audio", "face"])
def test_the_time_limit_counts_while_a_pipe_is_silent(address: str, silent: tuple[int, Path], verb: str) -> None:
    code, err = ended(started(verb, "-", "--timeout", "1", "--address", address, stdin=silent[0]))
    assert code == 4, err
    assert "deadline_exceeded" in err


_SIGNALLED_ELSEWHERE = """
import signal, sys, threading, time
from bonafide_client.cli import main

def interrupt():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(600)

threading.Thread(target=interrupt, daemon=True).start()
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_ends_it_whichever_thread_gets_the_signal(address: str, peer: Peer, files: list[Path]) -> None:
    """As where it comes just before the loop waits: nothing wakes the loop then but the loop's own handler."""
    peer.delay_s = 60
    command = [sys.executable, "-c", _SIGNALLED_ELSEWHERE, "audio", str(files[0]), "--address", address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        end = time.monotonic() + 60
        while not peer.calls and time.monotonic() < end:
            time.sleep(0.05)
        try:
            out, err = process.communicate(b"\n", timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")
    assert all(call.ended.wait(30) for call in peer.calls)


_BROKEN_INSIDE = """
import os, sys
from bonafide_client import cli

def main():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    except BrokenPipeError:
        return 0

cli.main = main
sys.exit(cli.command())
"""


def test_a_pipe_of_a_library_that_breaks_does_not_end_it() -> None:
    """As gRPC's own, by which its threads wake the event loop, may while both end."""
    assert subprocess.run([sys.executable, "-c", _BROKEN_INSIDE], env=environment(), check=False).returncode == 0


@pytest.mark.parametrize("options", [["--json"], []])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_whoever_does_not_read_ends_it_as_every_other_program(
    address: str, tmp_path: Path, options: list[str], stream: str
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    files = [str(path)] * 50 if stream == "stdout" else [str(tmp_path / "none.wav")] * 50
    reader, writer = os.pipe()
    os.close(reader)
    out, err = (writer if each == stream else subprocess.DEVNULL for each in ("stdout", "stderr"))
    process = subprocess.Popen(
        [COMMAND, "audio", *files, *options, "--address", address], stdout=out, stderr=err, env=environment()
    )
    os.close(writer)
    assert process.wait(30) == -signal.SIGPIPE
