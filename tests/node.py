"""Node and what `make js` sets up, for the tests of JavaScript; a test that needs what is missing is skipped."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from scripts.local_service import ROOT

FOLDER = ROOT / "clients" / "js"
MODULES = FOLDER / "node_modules"


@cache
def _node() -> list[str] | None:
    """Node with a WebSocket: any from 22 on, and 20 when it is asked to."""
    path = shutil.which("node")
    for flags in ([], ["--experimental-websocket"]):
        probe = [path or "node", *flags, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
        if path and subprocess.run(probe, capture_output=True).returncode == 0:
            return [path, *flags]
    return None


def node() -> list[str]:
    """The command line that runs a script with a WebSocket."""
    if (command := _node()) is None:
        pytest.skip("needs Node 20.10 or newer (Debian 13: apt-get install nodejs npm)")
    return command


def tsc(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Runs the TypeScript compiler on the client."""
    if not (MODULES / ".bin" / "tsc").exists():
        pytest.skip("needs TypeScript: make js")
    command = [*node(), MODULES / ".bin" / "tsc", *arguments]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)


def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    if not (path := MODULES / "axe-core" / "axe.min.js").exists():
        pytest.skip("needs axe-core: make js")
    return path.read_text()
