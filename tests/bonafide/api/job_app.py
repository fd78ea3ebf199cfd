"""An application that takes jobs, with recordings in a folder and a model in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from bonafide.api.job_worker import job_worker
from bonafide.app import App
from bonafide.settings import Settings
from tests.bonafide.fakes import LocalRemote
from tests.media import encode_image, photo, wav


def recording(level: int) -> bytes:
    """5 s, of which `level` percent are not silent."""
    samples = np.zeros(80_000, np.int16)
    samples[: 800 * level] = 1000
    return wav(samples, 16_000)


def job_settings(folder: Path) -> Settings:
    """Jobs of five recordings at most, all state below `folder`."""
    return Settings.model_validate(
        {
            "jobs": True,
            "jobs_db": folder / "jobs.db",
            "jobs_max_keys": 5,
            "jobs_max_per_caller": 2,
            "jobs_callbacks": "http://127.0.0.1:1",
            "objects_dir": folder / "objects",
            "allowed_buckets": "calls",
            "grpc_ports": "0",
        }
    )


@asynccontextmanager
async def job_app(settings: Settings, remote: LocalRemote) -> AsyncIterator[App]:
    """It has three recordings and a file that is none, and so many photos where jobs may be of photos.

    Its jobs are worked on in a block of `working`.
    """
    calls = settings.objects_dir / "calls"
    (calls / "day").mkdir(parents=True)
    for level in (20, 60, 90):
        (calls / "day" / f"{level}.wav").write_bytes(recording(level))
    (calls / "broken.wav").write_bytes(b"no audio")
    if settings.jobs_photos:
        (calls / "faces").mkdir()
        for seed in range(3):
            (calls / "faces" / f"{seed}.jpg").write_bytes(encode_image(photo(seed=seed)))
        (calls / "faces" / "broken.jpg").write_bytes(b"no photo")
    app = App(settings, voice=remote, face=remote, voice_jobs=remote, face_jobs=remote)
    await app.voice_runner.probe()
    await app.face_runner.probe()
    for runner in app.require_job_work().runners.values():
        await runner.probe()
    try:
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def working(app: App) -> AsyncIterator[None]:
    """A worker takes the jobs of the application."""
    worker = job_worker(app, app.require_job_work())
    worker.start()
    try:
        yield
    finally:
        await worker.stop()
