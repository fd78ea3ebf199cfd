"""Go for tests: the modules of clients/go, and commands in them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.local_service import ROOT

GO = ROOT / "clients/go"
BACKEND = GO / "cmd/backend"
_USUAL = "/usr/local/go/bin"


def go(folder: Path, *arguments: str | Path, **variables: str) -> str:
    """Runs `go` in a module, with these variables, and returns what it printed; skips the test where there is no Go."""
    path = f"{os.environ['PATH']}:{_USUAL}"
    if (binary := shutil.which("go", path=path)) is None:
        pytest.skip("no Go compiler on the PATH (https://go.dev/dl)")
    done = subprocess.run(
        [binary, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PATH": path, "GOWORK": "off", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
