"""BentoML's client as the service uses it: which errors it raises, and when a request is sent again."""

import asyncio
import pickle
from http import HTTPStatus
from typing import Any

import aiohttp
import bentoml
import numpy as np
import pytest
from _bentoml_impl.client import RemoteProxy
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import TestServer
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException
from simple_di.providers import Static

from bonafide.bento import remote as module
from bonafide.bento.remote import BentoRemote, require_remote, require_url
from bonafide.errors import BonafideError, DeadlineExceeded, Internal, Overloaded
from bonafide.runner.remote import TOKEN_HEADER, ModelRefused, RunnerResult

ITEM = np.ones(4, np.uint8)
VALUES = (0.5, 0.001, 1, "fingerprint")
CONNECTION = ConnectionKey("a", 3000, False, True, None, None, None)

PREVIOUS = (0.5, 0.01, 1, "before")


class Client:
    """Raises these errors first, one for each request, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.requests = 0
        self.closed = False

    def _request(self) -> None:
        self.requests += 1
        if self.errors:
            raise self.errors.pop(0)

    async def score(self, items: list[Any]) -> list[tuple[Any, float, int, str]]:
        self._request()
        return [VALUES for _ in items]

    async def score_previous(self, items: list[Any]) -> list[tuple[Any, float, int, str]]:
        self._request()
        return [PREVIOUS for _ in items]

    async def info(self) -> dict[str, Any]:
        self._request()
        return {"name": "some-model"}

    async def prepare(self, reference: str, spoof_label: str) -> dict[str, Any]:
        self._request()
        if reference == "bad":
            return {"refused": f"no class is called {spoof_label!r}", "busy": False}
        return {"fingerprint": reference}

    async def activate(self, fingerprint: str) -> bool:
        self._request()
        return fingerprint == "new"

    async def close(self) -> None:
        self.closed = True


async def test_answers() -> None:
    client = Client()
    remote = BentoRemote(client, "voice")
    assert await remote.score([ITEM, ITEM]) == [RunnerResult(*VALUES)] * 2
    assert await remote.info() == {"name": "some-model"}
    assert remote.replicas == 1
    await remote.close()
    assert client.closed


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        (HTTPStatus.TOO_MANY_REQUESTS, Overloaded, "the voice model has no capacity"),
        (HTTPStatus.SERVICE_UNAVAILABLE, Overloaded, "the voice model has no capacity"),
        (HTTPStatus.GATEWAY_TIMEOUT, DeadlineExceeded, "the voice model did not answer in time"),
        (HTTPStatus.INTERNAL_SERVER_ERROR, Internal, "the voice model failed"),
        (HTTPStatus.NOT_FOUND, Internal, "the voice model failed"),
    ],
)
async def test_a_status_becomes_an_error_of_the_table(
    status: HTTPStatus, expected: type[BonafideError], message: str
) -> None:
    client = Client(BentoMLException("secret detail", error_code=status))
    with pytest.raises(expected) as raised:
        await BentoRemote(client, "voice").score([ITEM])
    assert raised.value.message == message
    assert client.requests == 1


async def test_a_description_that_comes_with_an_error_status_is_no_answer() -> None:
    client = Client(BentoMLException("broken", error_code=HTTPStatus.INTERNAL_SERVER_ERROR))
    with pytest.raises(ConnectionError, match="broken"):
        await BentoRemote(client, "voice").info()


@pytest.mark.parametrize(
    "dropped", [aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError(104, "connection reset by peer")]
)
async def test_a_request_on_a_connection_that_was_dropped_is_sent_once_more(dropped: Exception) -> None:
    client = Client(dropped)
    assert await BentoRemote(client, "voice").score([ITEM]) == [RunnerResult(*VALUES)]
    assert client.requests == 3, "it is asked whether it is there in between"
    client = Client(dropped)
    assert await BentoRemote(client, "voice").info() == {"name": "some-model"}
    client = Client(dropped, dropped)
    with pytest.raises(OSError, match=r"disconnected|reset"):
        await BentoRemote(client, "voice").info()
    assert client.requests == 2


async def test_a_request_to_a_runner_that_has_ended_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port still takes connections, which nobody answers."""

    class Ended(Client):
        async def info(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(module, "_LIFE_S", 0.05)
    client = Ended(aiohttp.ServerDisconnectedError())
    with pytest.raises(TimeoutError):
        await BentoRemote(client, "voice").score([ITEM])
    assert client.requests == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (aiohttp.ClientConnectorError(CONNECTION, OSError("refused")), OSError),
        (aiohttp.ClientPayloadError("cut off"), ConnectionError),
        (aiohttp.ServerTimeoutError(), TimeoutError),
        (TimeoutError(), TimeoutError),
    ],
)
async def test_other_failures_of_a_connection_are_raised_at_once(raised: Exception, expected: type[Exception]) -> None:
    client = Client(raised)
    with pytest.raises(expected):
        await BentoRemote(client, "voice").score([ITEM])
    assert client.requests == 1


def test_a_runner_built_inside_the_service_is_refused() -> None:
    class Local:
        def score(self, items: object) -> object: ...

    with pytest.raises(RuntimeError, match="--development"):
        require_remote(Local(), "WavLMRunner", "voice")


@pytest.mark.parametrize("url", ["voice:3000", "http://", "http://voice:port", "http://::1:3000", "unix:///run/voice"])
def test_an_address_of_a_runner_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(RuntimeError, match=r"--depends WavLMRunner=\.\.\. must be http://host:port"):
        require_url(url, "WavLMRunner")


@pytest.mark.parametrize("url", ["http://[::1]:3000", "https://voice", "tcp://127.0.0.1:4000", "file:///run/voice"])
def test_addresses_of_runners(url: str) -> None:
    require_url(url, "WavLMRunner")


@bentoml.service(name="HastyRunner")
class HastyRunner:
    """A runner, of which this test configures how long its calls may take."""

    @bentoml.api  # type: ignore[untyped-decorator]
    async def info(self) -> dict[str, Any]:
        return {}

    @bentoml.api  # type: ignore[untyped-decorator]
    async def prepare(self, reference: str, spoof_label: str) -> dict[str, Any]:
        return {}


async def test_a_model_may_take_longer_to_load_than_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"HastyRunner": {"traffic": {"timeout": 0.1}}}
    monkeypatch.setattr(BentoMLContainer.config, "services", Static(services))

    async def answer(request: web.Request) -> web.Response:
        assert request.headers[TOKEN_HEADER] == "a-token"
        if request.path == "/livez":
            return web.Response()
        await asyncio.sleep(0.2)
        return web.Response(body=pickle.dumps({"fingerprint": "new"}))

    served = web.Application()
    served.add_routes([web.post("/{api}", answer), web.get("/livez", answer)])
    async with TestServer(served) as server:
        url = str(server.make_url(""))
        dependency = RemoteProxy(url, service=HastyRunner)
        remote = await require_remote(dependency, "HastyRunner", "voice", "a-token")._connect(url)
        try:
            with pytest.raises(TimeoutError):
                await remote.info()
            assert await remote.prepare("new", None) == "new"
        finally:
            await remote.close()
            await dependency.to_async.close()


async def test_models_are_replaced() -> None:
    remote = BentoRemote(Client(aiohttp.ServerDisconnectedError()), "voice")
    assert await remote.prepare("new", "fake") == "new"
    assert [await remote.activate(each) for each in ("new", "other")] == [True, False]
    assert await remote.score_previous([ITEM]) == [RunnerResult(*PREVIOUS)]
    with pytest.raises(ModelRefused, match="no class is called ''") as refused:
        await remote.prepare("bad", None)
    assert not refused.value.busy
    with pytest.raises(ConnectionError):
        await BentoRemote(Client(BentoMLException("broken")), "voice").prepare("new", None)
