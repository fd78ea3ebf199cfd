"""Every uvicorn server gets our WebSocket settings; that BentoML's is one is in tests/integration/test_bentoml.py."""

from collections.abc import Iterator

import pytest
import uvicorn

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
