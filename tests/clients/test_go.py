"""The Go client and its example: formatted, vetted, tested, and with the stubs that the contracts generate."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_service import ROOT
from tests.clients.go import BACKEND, GO, go

pytestmark = pytest.mark.timeout(1800)  # the first run compiles gRPC


@pytest.mark.slow
def test_the_committed_stubs_are_what_the_contracts_generate(tmp_path: Path) -> None:
    go(GO, "version")
    subprocess.run([sys.executable, ROOT / "proto/generate_go.py", "--out", tmp_path], check=True)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.go")}
    assert len(made) == 6
    assert made == {path: (GO / path).read_text() for path in made}


@pytest.mark.deploy
@pytest.mark.parametrize("module", [GO, BACKEND], ids=lambda module: module.name)
def test_vetted_and_tidy(module: Path, tmp_path: Path) -> None:
    go(module, "vet", "./...")
    assert go(module, "mod", "tidy", "-diff") == ""
    go(GO / "tools", "build", "-o", tmp_path / "staticcheck", "honnef.co/go/tools/cmd/staticcheck")
    checked = subprocess.run(
        [tmp_path / "staticcheck", "./..."], cwd=module, capture_output=True, text=True, check=False
    )
    assert (checked.stdout, checked.returncode) == ("", 0)
    assert go(module, "run", "cmd/gofmt", "-l", ".") == ""


@pytest.mark.slow
def test_the_clients_own_tests() -> None:
    go(GO, "test", "./...")


@pytest.mark.deploy
def test_the_backends_own_tests() -> None:
    go(BACKEND, "test", "./...")
