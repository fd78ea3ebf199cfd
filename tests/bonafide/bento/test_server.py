"""Every uvicorn server gets our settings; that BentoML's is one is in tests/integration/test_bentoml.py."""

import resource
from collections.abc import Iterator

import pytest
import uvicorn

from bonafide.bento.connections import ConnectionFactory
from bonafide.bento.server import allow_open_files, bound_servers
from bonafide.settings import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = uvicorn.Config
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    uvicorn.Config = before  # type: ignore[misc]
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_every_server_of_the_process_gets_our_settings() -> None:
    for _ in range(2):
        bound_servers(Settings(live_max_message_bytes=100_000, live_ping_s=7.0, http_max_header_bytes=2_000))
    config = uvicorn.Config("none:app", workers=1, log_config=None)
    assert isinstance(config.http, ConnectionFactory)
    assert config.http.limits.header_bytes == 2_000
    assert (config.ws_max_size, config.ws_ping_interval, config.ws_ping_timeout) == (100_000, 7.0, 7.0)
    assert config.ws_per_message_deflate is False


def test_what_is_asked_for_explicitly_wins() -> None:
    bound_servers(Settings())
    assert uvicorn.Config("none:app", ws_max_size=5).ws_max_size == 5


def test_as_many_files_may_be_open_as_the_system_lets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(soft - 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))
    allow_open_files(soft - 5)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft - 5, hard)
    allow_open_files(10**9)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] in (hard, 10**9)
