"""Requests without the token to a runner's port, against a real BentoML service."""

import asyncio
import os
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
import uvicorn
from _bentoml_impl.client import RemoteProxy
from pydantic import SecretStr

from bonafide.api.runner_security import RunnerGate
from bonafide.bento.remote import require_remote
from bonafide.runner.remote import TOKEN_HEADER
from bonafide.settings import Settings

pytestmark = [  # both are BentoML's
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up <TemporaryDirectory:ResourceWarning"),
]

TOKEN = "a-token-of-this-test"
PICKLE = "application/vnd.bentoml+pickle"


@bentoml.service(name="GuardedRunner", metrics={"enabled": False})
class GuardedRunner:
    """Answers as the runners of `service.py` do."""

    @bentoml.api  # type: ignore[untyped-decorator]
    async def score(self, items: list[Any]) -> list[Any]:
        return [(item, 0.0, 1, "fingerprint") for item in items]

    @bentoml.api  # type: ignore[untyped-decorator]
    async def info(self) -> dict[str, Any]:
        return {"name": "some-model"}


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner: Any = GuardedRunner
    runner.middlewares[:] = []
    runner.add_asgi_middleware(RunnerGate, token=SecretStr(TOKEN))
    server = uvicorn.Server(uvicorn.Config(runner.to_asgi(is_main=False), port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.mark.parametrize("headers", [{}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: TOKEN[:-1]}, {TOKEN_HEADER: "é"},
                                     {"authorization": f"Bearer {TOKEN}"}])  # fmt: skip
@pytest.mark.parametrize("path", ["/score", "/info", "/schema.json", "/unknown"])
async def test_nothing_is_unpickled_without_the_token(
    url: str, tmp_path: Path, headers: dict[str, str], path: str
) -> None:
    body = pickle.dumps({"items": [Trap(tmp_path / "run")]})
    sent = {name.encode(): value.encode() for name, value in {**headers, "content-type": PICKLE}.items()}
    async with httpx.AsyncClient() as http:
        answer = await http.post(url + path, content=body, headers=sent)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert not (tmp_path / "run").exists()


async def test_with_the_token_it_is(url: str, tmp_path: Path) -> None:
    body = pickle.dumps({"items": [Trap(tmp_path / "run")]})
    async with httpx.AsyncClient() as http:
        await http.post(url + "/score", content=body, headers={"content-type": PICKLE, TOKEN_HEADER: TOKEN})
    assert (tmp_path / "run").exists(), "the trap of the other tests works"


async def test_probes_need_none(url: str) -> None:
    async with httpx.AsyncClient() as http:
        assert [(await http.get(url + path)).status_code for path in ("/livez", "/readyz", "/healthz")] == [200] * 3


async def test_the_service_sends_it(url: str) -> None:
    remote = require_remote(RemoteProxy(url, service=GuardedRunner), "GuardedRunner", "voice", TOKEN)
    assert await remote.info() == {"name": "some-model"}
    (result,) = await remote.score([0.5])  # type: ignore[list-item]
    assert result.judged == 0.5
    await remote.close()


@pytest.mark.parametrize("token", ["", "another-token-than-that"])
async def test_another_service_is_refused(url: str, token: str) -> None:
    remote = require_remote(RemoteProxy(url, service=GuardedRunner), "GuardedRunner", "voice", token)
    with pytest.raises(ConnectionError, match="BONAFIDE_RUNNER_TOKEN"):
        await remote.info()
    await remote.close()


async def test_no_token_no_question() -> None:
    seen = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["path"])

    await RunnerGate(app, SecretStr(""))({"type": "http", "path": "/score", "headers": []}, None, None)  # type: ignore[arg-type]
    assert seen == ["/score"]


@pytest.mark.parametrize("wrong", ["short", "a token with spaces in it", "x" * 257, "töken-of-this-test"])
def test_a_token_that_is_none_stops_the_start_and_is_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="16 to 256") as raised:
        Settings.model_validate({"runner_token": wrong})
    assert wrong not in str(raised.value)
