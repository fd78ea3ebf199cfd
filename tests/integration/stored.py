"""A service on a real MinIO and a real Valkey, and what can be observed from outside: downloads, metrics, keys."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from bonafide_client import AsyncBonafideClient
from scripts.local_service import LocalService, running
from tests.integration.tiny_models import tiny_models
from tests.integration.waiting import until
from tests.proxy import Proxy, proxy_to
from tests.servers import ACCESS_KEY, SECRET_KEY, Server, minio_client, start_minio, start_valkey

BUCKET = "calls"
EMPTY_BUCKET = "empty"
FOREIGN_BUCKET = "payroll"
VALKEY_PASSWORD = "test-valkey-password-that-must-never-show"
SCORES = "bonafide:*:s:*"
WINDOWS = "bonafide:*:w:*"


@dataclass(frozen=True)
class Chunks:
    """Windows that the service has judged since it started, by where their scores came from."""

    runner: float
    cache: float

    def __sub__(self, earlier: "Chunks") -> "Chunks":
        return Chunks(self.runner - earlier.runner, self.cache - earlier.cache)


@dataclass(frozen=True)
class StoredService:
    """The service and the servers behind it.

    Attributes:
        downloads: proxy between the service and MinIO that counts bytes.
    """

    service: LocalService
    minio: Server
    valkey: Server
    downloads: Proxy

    def put(self, content: bytes, key: str, bucket: str = BUCKET) -> None:
        """Stores an object, over the one of that name."""
        minio_client(self.minio).put_object(bucket, key, io.BytesIO(content), len(content))

    @contextmanager
    def keys(self) -> Iterator[Redis]:
        """A connection to the Valkey, to read and to remove keys."""
        with Redis(port=self.valkey.port, password=VALKEY_PASSWORD) as redis:
            yield redis

    def forget(self, pattern: str) -> int:
        """Removes all keys like `pattern` from the Valkey, and returns their number."""
        with self.keys() as redis:
            found = list(redis.scan_iter(pattern, count=1_000))
            return len(found) and int(redis.delete(*found))

    async def chunks(self) -> Chunks:
        """The current counts in `/metrics`."""
        return Chunks(
            await self.metric("bonafide_chunks_total", source="runner"),
            await self.metric("bonafide_chunks_total", source="cache"),
        )

    async def remembers(self, client: AsyncBonafideClient, key: str, chunks: int) -> None:
        """Returns when the scores of all chunks of an object that was judged are in the cache.

        One that stalls on a busy machine is not asked for some seconds, and misses what came then.
        """

        async def remembered() -> bool:
            before = await self.chunks()
            await client.analyze_object(BUCKET, key)
            return await self.chunks() - before == Chunks(runner=0, cache=chunks)

        await until(remembered, 60)

    async def metric(self, name: str, **labels: str) -> float:
        """A number of `/metrics`; 0 for what was never counted."""
        return await metric(self.service.url, name, **labels)


async def metric(url: str, name: str, **labels: str) -> float:
    """A number of the `/metrics` there; 0 for what was never counted."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        text = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if (sample.name, sample.labels) == (name, labels))


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredService]:
    """A service with servers of its own, which a test may freeze and kill if it starts them again."""
    folder = tmp_path_factory.mktemp("stored")
    minio, valkey = start_minio(folder), start_valkey(folder, "--requirepass", VALKEY_PASSWORD)
    try:
        for bucket in (BUCKET, EMPTY_BUCKET, FOREIGN_BUCKET):
            minio_client(minio).make_bucket(bucket)
        with _proxy_in_thread(minio.port) as downloads:
            environment = {
                **tiny_models(),
                "MINIO_ENDPOINT": downloads.address,
                "MINIO_ACCESS_KEY": ACCESS_KEY,
                "MINIO_SECRET_KEY": SECRET_KEY,
                "REDIS_HOST": "127.0.0.1",
                "REDIS_PORT": str(valkey.port),
                "REDIS_PASSWORD": VALKEY_PASSWORD,
                "BONAFIDE_ALLOWED_BUCKETS": f"{BUCKET},{EMPTY_BUCKET},missing-bucket",
                "BONAFIDE_STORAGE_TIMEOUT_S": "1",
                "BONAFIDE_STORAGE_RETRIES": "1",
                "BONAFIDE_LOG_LEVEL": "DEBUG",
                "BONAFIDE_LIVE_SEND_TIMEOUT_S": "5",
                "BONAFIDE_LIVE_MAX_FRAMES_PER_S": "20000",
                "BONAFIDE_DRAIN_NOTICE_S": "0",
            }
            with running(folder / "log", environment) as service:
                yield StoredService(service, minio, valkey, downloads)
    finally:
        minio.stop()
        valkey.stop()


@contextmanager
def _proxy_in_thread(port: int) -> Iterator[Proxy]:
    """A proxy that outlives the event loop of a test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy")
    thread.start()
    proxies = proxy_to(port)

    async def opened() -> Proxy:
        return await proxies.__aenter__()

    async def closed() -> None:
        await proxies.__aexit__(None, None, None)

    try:
        proxy = asyncio.run_coroutine_threadsafe(opened(), loop).result(10)
        yield proxy
        asyncio.run_coroutine_threadsafe(closed(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
