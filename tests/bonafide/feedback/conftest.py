"""The databases: a file of SQLite, and a real PostgreSQL where its server and the driver are installed."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bonafide.feedback.database import Database, DatabaseFailed
from tests.servers import free_port


@pytest.fixture(scope="package")
def postgresql() -> Iterator[str]:
    """The URL of a server of our own."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("the driver psycopg is not installed")
    commands = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin")):
        commands = {name: path or str(found[-1] / name) for name, path in commands.items()}
    if not all(path and Path(path).exists() for path in commands.values()):
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="bonafide-", dir="/tmp") as folder:
        yield from _served(commands, Path(folder))


def _served(commands: Mapping[str, str | None], folder: Path) -> Iterator[str]:
    as_user: list[str] = []
    if os.geteuid() == 0:  # which the server refuses
        shutil.chown(folder, "nobody")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data, port = folder / "data", free_port()
    made = [*as_user, str(commands["initdb"]), "-D", str(data), "-A", "trust", "-U", "bonafide", "-N"]
    done = subprocess.run(made, check=False, capture_output=True, text=True, cwd="/")
    if done.returncode:
        pytest.skip(f"PostgreSQL makes no database here: {done.stderr.strip()}")
    options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*as_user, str(commands["postgres"]), *options], stdout=log, stderr=log, cwd="/")
    try:
        url = f"postgresql://bonafide@127.0.0.1:{port}/postgres"
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(url: str) -> None:
    """Until the server answers, 30 s at most."""
    for left in reversed(range(300)):
        try:
            with Database(url) as database:
                database.execute(("SELECT 1", ()))
            return
        except DatabaseFailed:
            if not left:
                raise
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "folder" / "feedback.db")
    url: str = request.getfixturevalue("postgresql")
    with Database(url) as database:
        database.execute(("DROP TABLE IF EXISTS bonafide_verdicts", ()))
    return url
