"""What BentoML's server is made of gets our WebSocket settings; fails when uvicorn or BentoML go another way."""

import inspect
from collections.abc import Iterator

import pytest
import uvicorn
from _bentoml_impl.worker import service as worker

from bonafide.bento import websockets
from bonafide.bento.websockets import AbortableWebSocket, serve_websockets


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = uvicorn.Config.__init__
    yield
    uvicorn.Config.__init__ = before  # type: ignore[method-assign]


def test_every_server_of_the_process_gets_our_settings() -> None:
    for _ in range(2):
        serve_websockets(1_000, 7.0)
    config = uvicorn.Config("none:app", workers=1, log_config=None)
    assert config.ws is AbortableWebSocket
    assert (config.ws_max_size, config.ws_ping_interval, config.ws_ping_timeout) == (1_000, 7.0, 7.0)
    assert config.ws_per_message_deflate is False


def test_what_is_asked_for_explicitly_wins() -> None:
    serve_websockets(1_000, 7.0)
    assert uvicorn.Config("none:app", ws_max_size=5).ws_max_size == 5


def test_bentoml_still_builds_its_server_from_such_a_config_and_passes_none_of_this() -> None:
    source = inspect.getsource(worker)
    assert "uvicorn.Config(" in source
    assert "ws_" not in source
    assert websockets.GRACE_S > 0
