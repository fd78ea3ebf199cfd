"""A scan of a real MinIO whose processes and whose storage are killed: in the end each key has exactly one row."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")

from scan.manifest import Part, read_manifest
from scan.result import read_table
from scan.result_storage import BucketStorage
from scan.source import Source, WrongUse
from tests.integration.tiny_models import tiny_models
from tests.media import encode, speech_like
from tests.proxy import proxy_to
from tests.servers import ACCESS_KEY, ROOT, SECRET_KEY, Server, minio_client, minio_settings, start_minio

pytestmark = pytest.mark.slow

BUCKET, FOLDER, RESULT = "scanned", "calls/", "result/"
RECORDINGS = 140
"""Five tasks of decoding, two of them at a time."""
SECONDS = (3, 7)
"""Of one recording and the next: one window, and two."""
DELAY_S = 0.02
"""Before each 16 KB of an object, so that a scan has a middle: a task takes some 6 s."""
A_FEW = 16
"""More than what is scored at once."""
MEGABYTE = 1_000_000
_POLL_S = 0.5
"""Each look walks through all processes of the machine."""


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MinIO of its own, which is killed, with recordings that differ in their lowest bits."""
    server = start_minio(tmp_path_factory.mktemp("minio"))
    try:
        client = minio_client(server)
        client.make_bucket(BUCKET)
        for index in range(RECORDINGS):
            content = recording(index)
            client.put_object(BUCKET, f"{FOLDER}{index:03}.wav", io.BytesIO(content), len(content))
        client.put_object(BUCKET, "elsewhere.wav", io.BytesIO(content), len(content))
        yield server
    finally:
        server.stop()


def recording(index: int) -> bytes:
    """A WAV file that no other index has."""
    seconds = SECONDS[index % len(SECONDS)]
    bits = np.random.default_rng(index).integers(-1, 2, 16_000 * seconds) / 32_768
    return encode((speech_like(seconds, seed=index % 4) + bits).astype(np.float32), 16_000)


class Scan:
    """`python -m scan` of all recordings, with a tiny model.

    Args:
        endpoint: of MinIO.
        folder: for the log.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        self._log = folder / "scan.log"
        env = {
            **tiny_models(),
            "BONAFIDE_STORAGE_RETRIES": "0",
            "BONAFIDE_STORAGE_TIMEOUT_S": "2",
            "MINIO_ACCESS_KEY": ACCESS_KEY,
            "MINIO_ENDPOINT": endpoint,
            "MINIO_SECRET_KEY": SECRET_KEY,
            # Not behind all other tests: with Ray's 15 a worker gets a thirtieth of what one of them does.
            "RAY_worker_niceness": "0",
        }
        command = [sys.executable, "-m", "scan", f"s3://{BUCKET}/{FOLDER}", "--out", f"s3://{BUCKET}/{RESULT}"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--commit", "0.5"], cwd=ROOT, env={**os.environ, **env}, stdout=log, stderr=log
            )

    def __str__(self) -> str:
        return self._log.read_text()

    def workers(self, name: str) -> list[psutil.Process]:
        """The workers of Ray that do this."""
        return [each for each in self.descendants() if name in _title(each)]

    async def worker(self, name: str) -> psutil.Process:
        """The first that is seen to do this."""
        found: list[psutil.Process] = []

        def seen() -> bool:
            found.extend(self.workers(name))
            return bool(found)

        await self.until(seen)
        return found[0]

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def listening(self) -> set[str]:
        """The addresses on which its processes, Ray's among them, take connections."""
        found: set[str] = set()
        for each in [psutil.Process(self.process.pid), *self.descendants()]:
            with suppress(psutil.NoSuchProcess):
                found |= {port.laddr.ip for port in each.net_connections() if port.status == psutil.CONN_LISTEN}
        assert found
        return found

    async def until(self, holds: Callable[[], bool], within_s: float = 240.0) -> None:
        """Returns when it holds; the scan has to run on."""
        async with asyncio.timeout(within_s):
            while not await asyncio.to_thread(holds):
                assert self.process.poll() is None, f"the scan has ended:\n{self}"
                await asyncio.sleep(_POLL_S)

    async def ended(self, within_s: float = 300.0) -> str:
        """What it said; it has to end well."""
        status = await asyncio.to_thread(self.process.wait, within_s)
        assert status == 0, str(self)
        return str(self)


@contextmanager
def running(endpoint: str, folder: Path) -> Iterator[Scan]:
    """A scan, killed at the end with its processes where it still runs."""
    scan = Scan(endpoint, folder)
    try:
        yield scan
    finally:
        if scan.process.poll() is None:
            for each in [*scan.descendants(), psutil.Process(scan.process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            scan.process.wait()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Results:
    """What the manifest names, read past the proxy."""

    def __init__(self, minio: Server) -> None:
        self.storage = BucketStorage(BUCKET, RESULT, minio_settings(minio.address), 0.0)

    def parts(self) -> Sequence[Part]:
        manifest = read_manifest(self.storage)
        return () if manifest is None else manifest.parts

    def committed(self) -> int:
        return sum(part.rows for part in self.parts())

    def table(self, which: str) -> list[dict[str, Any]]:
        return [row for part in self.parts() for row in read_table(self.storage, getattr(part, which)).to_pylist()]

    def check(self) -> None:
        """Every key once, every window once, nothing beside."""
        rows = self.table("recordings")
        keys = Counter(row["key"] for row in rows)
        assert keys == {f"{FOLDER}{index:03}.wav": 1 for index in range(RECORDINGS)}
        assert {row["error_code"] for row in rows} == {None}
        windows = Counter((row["key"], row["index"]) for row in self.table("windows"))
        assert set(windows.values()) == {1}
        assert Counter(key for key, _ in windows) == {row["key"]: row["windows"] for row in rows}
        assert {row["windows"] for row in rows} == {1, 2}
        named = {name for part in self.parts() for name in (part.recordings, part.windows)}
        assert {*self.storage.names("recordings"), *self.storage.names("windows")} == named


def test_a_bucket_that_is_not_there_is_no_storage_to_wait_for(minio: Server) -> None:
    settings = minio_settings(minio.address)
    with pytest.raises(WrongUse, match="no bucket 'nowhere'"):
        list(Source.at("s3://nowhere/", settings).entries(settings))
    storage = BucketStorage("nowhere", "", settings, 60.0)
    assert storage.read("manifest.json") is None
    with pytest.raises(WrongUse, match="no bucket 'nowhere'"):
        storage.write("manifest.json", b"{}")


@pytest.mark.timeout(900)
async def test_a_scan_survives_its_workers_its_driver_and_its_storage(minio: Server, tmp_path: Path) -> None:
    results = Results(minio)
    async with proxy_to(minio.port) as proxy:
        proxy.delay_s = DELAY_S

        def read(since: int, megabytes: float) -> Callable[[], bool]:
            return lambda: proxy.sent - since > megabytes * MEGABYTE

        # The driver is killed when it has committed something; its processes end with it.
        with running(proxy.address, tmp_path) as scan:
            await scan.until(lambda: results.committed() > A_FEW)
            assert scan.listening() <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
            spectators = ("_StatsActor", "_AutoscalingCoordinatorActor", "ActorLocationTracker", "DashboardAgent")
            for spectator in ("monitor.py", "dashboard.py", *spectators):
                assert not scan.workers(spectator)
            # This agent of Ray asks the dead driver's server for a minute before it ends.
            left_behind = [each for each in scan.descendants() if "RuntimeEnvAgent" not in _title(each)]
            assert left_behind
            scan.process.kill()
            scan.process.wait()
            _, alive = await asyncio.to_thread(psutil.wait_procs, left_behind, 60)
            assert not alive, [_title(each) for each in alive]
        before = results.committed()
        assert A_FEW < before < RECORDINGS
        results.storage.write(f"recordings/{uuid.uuid4().hex}.parquet", b"PAR1 and no more")
        old = {row["key"]: (row["etag"], row["scanned_at"]) for row in results.table("recordings")}
        changed, content = min(old), recording(RECORDINGS)
        minio_client(minio).put_object(BUCKET, changed, io.BytesIO(content), len(content))

        # Then a worker that decodes, the one that scores, and the storage.
        with running(proxy.address, tmp_path) as scan:
            await scan.until(lambda: results.committed() == before - 1)
            scorer = await scan.worker("MapBatches(Scorer)")
            began = proxy.sent
            await scan.until(read(began, 1))
            decoder = await scan.worker("MapBatches(decoded)")
            decoder.send_signal(signal.SIGKILL)
            scorer.send_signal(signal.SIGKILL)
            began = proxy.sent
            await scan.until(read(began, 1))
            minio.kill()
            await asyncio.sleep(4)
            assert scan.process.poll() is None, str(scan)
            await asyncio.to_thread(minio.start)
            proxy.delay_s = 0.0  # nothing more happens in the middle
            said = await scan.ended()
        # What has a row was not scored again, unless the object is another one.
        assert f"of {RECORDINGS - before + 1} ({before - 1} before)" in said
        await asyncio.to_thread(results.check)
        new = {row["key"]: (row["etag"], row["scanned_at"]) for row in results.table("recordings")}
        assert {key for key in old if new[key] != old[key]} == {changed}
        assert new[changed][0] != old[changed][0]
