"""The command `bonafide`: in a process of its own, or, which takes a tenth of the time, within that of the tests."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import bonafide_client
from bonafide_client.cli import command

COMMAND = str(Path(sys.executable).with_name("bonafide"))
_SOURCE = str(Path(bonafide_client.__file__).parents[1])


def environment(**extra: str) -> dict[str, str]:
    of_users = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if key not in of_users}
    return kept | {"TERM": "xterm-256color", "PYTHONPATH": _SOURCE} | extra


def bonafide(*words: str | Path, stdin: bytes = b"", **extra: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [COMMAND, *map(str, words)], input=stdin, capture_output=True, env=environment(**extra), timeout=60
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def redirected(*words: str | Path, streams: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    """As `bonafide`, with streams as a shell opens them: `>/dev/full`, `2>&-`."""
    line = ["sh", "-c", f'exec "$0" "$@" {streams}', COMMAND, *map(str, words)]
    return subprocess.run(line, capture_output=True, env=environment(**extra), timeout=60, text=True)


def bonafide_within(*words: str | Path, **extra: str) -> "subprocess.CompletedProcess[str]":
    """As `bonafide`, where neither descriptors and encodings of streams nor the end of a process are the subject."""
    argv = [COMMAND, *map(str, words)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        patch.object(sys, "argv", argv),
        patch.dict(os.environ, environment(**extra), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code: object = command()
        except SystemExit as end:
            code = end.code
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    assert isinstance(code, int)
    return subprocess.CompletedProcess(argv, code, *written)
