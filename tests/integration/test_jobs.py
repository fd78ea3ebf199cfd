"""A job on a real MinIO and a real Valkey, whose service is killed in the midst of it and started again."""

import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from scripts.local_service import LocalService, start
from tests.integration.tiny_models import tiny_models
from tests.media import wav
from tests.servers import ACCESS_KEY, SECRET_KEY, Server, minio_client, start_valkey

COUNT = 120
BUCKET = "jobs-archive"
WITHIN_S = 400.0  # at the lowest priority, beside other tests


@contextmanager
def killable(log: Path, env: dict[str, str]) -> Iterator[LocalService]:
    """A service whose processes are all killed at the end."""
    service = start(log, env)
    try:
        service.wait_ready()
        yield service
    finally:
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()


def until_done(service: LocalService, job_id: str, done: int) -> dict[str, Any]:
    """The job as soon as so many of its recordings have a result."""
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        job: dict[str, Any] = httpx.get(f"{service.url}/jobs/{job_id}", timeout=30).json()
        if job["done"] + job["failed"] >= done:
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not go on")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_key_has_one_result_although_the_service_is_killed(minio_server: Server, tmp_path: Path) -> None:
    client = minio_client(minio_server)
    client.make_bucket(BUCKET)
    rng = np.random.default_rng(7)
    keys = [f"2026/{index:03}.wav" for index in range(COUNT)]
    for key in keys:
        content = wav(rng.integers(-3000, 3000, 16_000, np.int16), 16_000)
        client.put_object(BUCKET, key, io.BytesIO(content), len(content))
    client.put_object(BUCKET, "2026/broken.wav", io.BytesIO(b"no audio"), 8)
    keys.append("2026/broken.wav")
    valkey = start_valkey(tmp_path)
    env = {
        **tiny_models(),
        "BONAFIDE_JOBS": "true",
        "BONAFIDE_JOBS_LEASE_S": "2",
        "BONAFIDE_MIN_SPEECH_RATIO": "0",
        "MINIO_ENDPOINT": minio_server.address,
        "MINIO_ACCESS_KEY": ACCESS_KEY,
        "MINIO_SECRET_KEY": SECRET_KEY,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(valkey.port),
    }
    try:
        with killable(tmp_path / "first.log", env) as service:
            wanted = {"bucket": BUCKET, "prefix": "2026/", "idempotency_key": "audit-2026"}
            accepted = httpx.post(f"{service.url}/jobs", json=wanted, timeout=60)
            assert accepted.status_code == 202
            job = accepted.json()
            assert job["total"] == COUNT + 1
            before = until_done(service, job["id"], COUNT // 5)
        assert before["state"] == "running"
        with killable(tmp_path / "second.log", env) as service:
            again = httpx.post(f"{service.url}/jobs", json=wanted, timeout=60).json()
            assert again["id"] == job["id"]
            ended = until_done(service, job["id"], COUNT + 1)
            assert (ended["state"], ended["done"], ended["failed"]) == ("done", COUNT, 1)
            lines = httpx.get(f"{service.url}/jobs/{job['id']}/results", timeout=60).text.splitlines()
        results = [json.loads(line) for line in lines]
        assert Counter(result["key"] for result in results) == Counter(keys)
        assert {result["key"] for result in results if "error" in result} == {"2026/broken.wav"}
        assert all(0 <= result["verdict"]["score"] <= 1 for result in results if "verdict" in result)
    finally:
        valkey.stop()
