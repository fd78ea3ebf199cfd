from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.settings import Settings
from tests.bonafide.fakes import LocalRemote


@pytest.fixture
async def remote() -> LocalRemote:
    return LocalRemote()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of `app`; a file of tests may have its own."""
    return Settings(
        objects_dir=tmp_path,
        allowed_buckets=("calls",),
        max_audio_bytes=2_000_000,
        max_image_bytes=1_000_000,
        max_inflight_bytes=3_000_000,
        max_voice_calls=2,
        max_face_calls=2,
        grpc_ports=(0,),
    )


@pytest.fixture
async def app(remote: LocalRemote, settings: Settings) -> AsyncIterator[App]:
    """The use cases over a runner in this process; objects come from `tmp_path`."""
    app = App(settings, voice=remote, face=remote)
    await app.voice_runner.probe()
    await app.face_runner.probe()
    yield app
    await app.close()


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP over `app`, in this process."""
    api = HttpApi()
    api.app = app
    transport = httpx.ASGITransport(api.routes(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
