"""`/ws/detect` through a real port: whatever is sent gets an answer, and harms nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bonafide.api.socket_messages import chunk, frame, raw_client
from tests.bonafide.api.socket_server import SocketServer, client, socket_server

TEXTS = st.one_of(
    st.text(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=10,
    ).map(json.dumps),
    st.builds(
        lambda kind, fields: json.dumps({"type": kind, **fields}),
        st.sampled_from(["connect", "audio_chunk", "config", "ping", "stats", "flush"]),
        st.dictionaries(
            st.sampled_from(
                ["client_id", "audio_data", "sample_rate", "encoding", "chunk_duration", "overlap_duration", "results"]
            ),
            st.sampled_from(
                ["float32", "pcm16", "container", "reply", "AAAAAA==", "[0]", "", None, 1, 0.5, 8_000, [0, 1]]
            )
            | st.floats()
            | st.lists(st.floats(-1, 1), max_size=5),
        ),
    ),
)


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    """One for all examples of a test: each connection begins anew."""
    async with socket_server() as found:
        yield found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(TEXTS | st.binary(max_size=300), max_size=20))
async def test_wild_frames_get_one_answer_each(server: SocketServer, frames: list[str | bytes]) -> None:
    async with client(server.url) as wild:
        for each in frames:
            assert (await wild.ask(each)).type in {
                "connected", "detection_result", "buffering", "config_updated", "pong", "stats", "error",
            }  # fmt: skip
        assert (await wild.ask(frame("ping"))).type == "pong"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8))
async def test_wild_bytes_below_the_frames_harm_nobody(server: SocketServer, parts: list[bytes]) -> None:
    async with client(server.url) as calm:
        sock = await raw_client(server)
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            for part in parts:
                await loop.sock_sendall(sock, part)
        sock.close()
        assert (await calm.ask(chunk(0.5))).type == "detection_result"
        await server.until(lambda: server.connections() == 1)
