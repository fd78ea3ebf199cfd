"""The command `bonafide` in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("bonafide"))


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return kept | {"TERM": "xterm-256color"} | extra


def bonafide(*words: str | Path, stdin: bytes = b"", **extra: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [COMMAND, *map(str, words)], input=stdin, capture_output=True, env=environment(**extra), timeout=60
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
