"""Replacing a model over the private port: who may, what is answered, and that the rest of the port is as before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bonafide.api.operator import MAX_BODY_BYTES, OperatorApi
from bonafide.api.private import PrivateServer
from bonafide.runner.remote import ModelRefused
from tests.bonafide.fakes import LocalRemote, ready_runner

TOKEN = "a-token-of-the-operator"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def private(remote: LocalRemote, token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    runner = await ready_runner(remote, float)
    operator = OperatorApi(SecretStr(token), lambda: {"voice": runner})
    server = PrivateServer(lambda: (b"", "text/plain"), lambda: True, operator)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        yield http
    await server.stop()


async def test_a_model_is_replaced() -> None:
    remote = LocalRemote()
    async with private(remote) as http:
        answer = await http.post("/models/voice", json={"reference": "new"}, headers=AUTHORIZED)
        assert answer.status_code == 200
        assert answer.json() == {
            "model": "new",
            "version": "new",
            "reference": "test",
            "fingerprint": "new-torch-cpu-fp32",
            "threshold": None,
            "replicas": 1,
        }
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer other"}, {"authorization": TOKEN}])
async def test_only_with_the_token(headers: dict[str, str]) -> None:
    remote = LocalRemote()
    async with private(remote) as http:
        answer = await http.post("/models/voice", json={"reference": "new"}, headers=headers)
        assert (answer.status_code, "token" in answer.json()["error"]) == (401, True)
        odd = await http.post("/models/voice", content=b"{}", headers={b"authorization": b"Bearer \xff\xfe"})
        assert odd.status_code == 401
    async with private(remote, token="") as http:
        for given in (headers, {"authorization": "Bearer any"}):
            answer = await http.post("/models/voice", json={"reference": "new"}, headers=given)
            assert (answer.status_code, "BONAFIDE_OPERATOR_TOKEN" in answer.json()["error"]) == (403, True)
    assert remote.previous is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"reference": ""}', b'{"reference": 1}', b'{"reference": "a", "key": 1}', b"\xff"],
)
async def test_a_malformed_request_is_told(body: bytes) -> None:
    remote = LocalRemote()
    async with private(remote) as http:
        answer = await http.post("/models/voice", content=body, headers=AUTHORIZED)
        assert (answer.status_code, "the body must be JSON" in answer.json()["error"]) == (400, True)
        large = await http.post("/models/voice", content=bytes(MAX_BODY_BYTES + 1), headers=AUTHORIZED)
        assert large.status_code == 413
        other = await http.post("/models/smell", json={"reference": "new"}, headers=AUTHORIZED)
        assert (other.status_code, other.json()["error"]) == (404, "there is no model 'smell'; there are voice")
        assert (await http.get("/models/voice", headers=AUTHORIZED)).status_code == 405
    assert remote.previous is None


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (ModelRefused("there is no folder of that name"), 422),
        (ModelRefused("another model is being loaded", busy=True), 409),
        (ConnectionError("nobody answers"), 503),
    ],
)
async def test_a_refusal_has_its_sentence(refused: Any, status: int) -> None:
    remote = LocalRemote()
    remote.refused = refused
    async with private(remote) as http:
        answer = await http.post("/models/voice", json={"reference": "new"}, headers=AUTHORIZED)
        assert answer.status_code == status
        told = answer.json()["error"]
    assert told == (str(refused) if status != 503 else "the test model cannot be reached")
    assert remote.model["name"] == "test-model"
