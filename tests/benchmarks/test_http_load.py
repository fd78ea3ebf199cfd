import socket

import aiohttp
import pytest

from benchmarks.http_load import Caller, Refused, Route, read_score

ROUTE = Route("/detect_audio", lambda answer: answer["score"])


def test_the_score_is_taken_from_the_answer() -> None:
    assert read_score(200, '{"score": 0.25, "label": "spoof"}', ROUTE) == 0.25
    assert read_score(200, "0.5", Route("/voice", float)) == 0.5


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, '{"score": 0.25}'),
        (200, '{"label": "no_speech"}'),
        (200, '{"score": null}'),
        (200, '{"score": NaN}'),
        (200, "[]"),
        (200, "busy"),
    ],
)
def test_an_answer_without_a_score_is_no_answer(status: int, text: str) -> None:
    with pytest.raises(Refused, match=f"/detect_audio answered {status}"):
        read_score(status, text, ROUTE)


async def test_a_server_that_never_answers_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as session:
            caller = Caller(session, f"http://127.0.0.1:{listening.getsockname()[1]}", ROUTE, "face")
            await caller.call(0)
    assert caller.failures == ["TimeoutError"]
