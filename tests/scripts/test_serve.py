"""Starting from a checkout: a folder that cannot be made is one sentence, and a home with a space in its path works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_service import ROOT
from scripts.serve import bentoml_home


@pytest.mark.parametrize("environment", [{"HOME": "/dev/null/home"}, {"BENTOML_HOME": "/dev/null/home"}])
def test_a_home_that_cannot_be_written_is_one_sentence(environment: dict[str, str]) -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "BENTOML_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.serve"],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Bonafide cannot start: BentoML's folder /dev/null/home")
    assert done.stderr.count("\n") == 1


def test_a_home_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a b"
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    assert bentoml_home() == home / "bentoml"
    assert (home / "bentoml" / "models").is_dir()


def test_uv_is_found_below_a_home_with_a_space(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "uv.sh"
    version = next(line.split('"')[1] for line in script.read_text().splitlines() if line.startswith("version="))
    uv = tmp_path / "a b" / ".cache" / "bonafide" / f"uv-{version}" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    uv.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "a b")}
    done = subprocess.run([script, "pip", "two words"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "pip|two words|"


def test_make_writes_no_path_of_the_home_into_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "serve", "demo", "lock", "lint"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "a b")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "scripts.serve" in done.stdout
    assert "a b" not in done.stdout
