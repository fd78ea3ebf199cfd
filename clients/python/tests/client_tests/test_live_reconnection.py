"""How long a lost service is looked for, and with which pauses."""

import asyncio
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from bonafide_client import AudioDetectionClient, Unavailable

from .live_peer import LivePeer

RATE = 8_000
PATIENCE_S = 20
WINDOW = [0.25] * RATE


@pytest.fixture
async def live() -> AsyncIterator[LivePeer]:
    async with LivePeer().listening() as peer:
        yield peer


def busy(retry_after: str) -> tuple[HTTPStatus, None, dict[str, str]]:
    return HTTPStatus.SERVICE_UNAVAILABLE, None, {"Retry-After": retry_after}


async def lost_after(live: LivePeer, reconnect_s: float) -> float:
    """Seconds until a client gives up whose audio closes each connection."""
    live.close_with = (1011, "a bug")
    async with AudioDetectionClient(live.url, reconnect_s=reconnect_s) as client:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S)
        return time.monotonic() - start


async def test_a_service_that_drops_each_connection_at_the_audio_is_given_up(live: LivePeer) -> None:
    assert 0.9 < await lost_after(live, 1.0) < 3
    assert 3 <= len(live.connections) <= 5


async def test_a_connection_on_which_no_answer_comes_is_given_up(live: LivePeer) -> None:
    live.mute = True
    async with AudioDetectionClient(live.url, answer_s=0.3) as client:
        waiting = asyncio.create_task(client.send_audio_chunk(WINDOW, RATE))
        async with asyncio.timeout(PATIENCE_S):
            while len(live.connections) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            live.mute = False
            assert await waiting is not None
        assert live.connections[0] == live.connections[1]
        connections = len(live.connections)
        await asyncio.sleep(0.5)
        assert await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S) is not None
        assert len(live.connections) == connections, "where nothing is asked, no answer is missed"


async def test_without_time_to_look_the_first_break_is_the_end(live: LivePeer) -> None:
    assert await lost_after(live, 0.0) < 1
    assert len(live.connections) == 1


async def test_time_and_pauses_begin_anew_when_audio_is_judged(live: LivePeer) -> None:
    live.cuts = [2, 3, 3, 3, 3]  # each connection judges something first: 5 pauses, more than a second in all
    async with AudioDetectionClient(live.url, reconnect_s=0.6) as client:
        for number in range(10):
            window = await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S)
            assert window is not None
            assert window.sequence == number
    assert len(live.connections) == 6


@pytest.mark.parametrize("retry_after", ["20", "1e300"])
async def test_a_pause_beyond_the_end_is_not_begun(live: LivePeer, retry_after: str) -> None:
    live.cuts = [1]
    async with AudioDetectionClient(live.url, reconnect_s=2.0) as client:
        live.refusals = [busy(retry_after)] * 10
        start = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S)
        assert time.monotonic() - start < 1.5
        assert caught.value.retry_after_s == float(retry_after)
    assert len(live.refusals) == 9


@pytest.mark.parametrize("retry_after", ["inf", "nan", "-5"])
async def test_a_pause_that_cannot_be_waited_is_ignored(live: LivePeer, retry_after: str) -> None:
    live.cuts = [1]
    async with AudioDetectionClient(live.url, reconnect_s=5.0) as client:
        live.refusals = [busy(retry_after)]
        assert await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S) is not None


async def test_nobody_comes_before_the_service_asks_for_it(live: LivePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, _most: least)
    live.cuts = [1]
    async with AudioDetectionClient(live.url, reconnect_s=5.0) as client:
        live.refusals = [busy("1")]
        start = time.monotonic()
        await asyncio.wait_for(client.send_audio_chunk(WINDOW, RATE), PATIENCE_S)
        assert time.monotonic() - start >= 1.24  # the first pause, and the one that was asked for
