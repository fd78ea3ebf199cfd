"""Calls over HTTP whose body is a file and whose answer holds a score."""

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp

from benchmarks.sample_bodies import CONTENT_TYPE, body
from models.info import Task

_TIMEOUT = aiohttp.ClientTimeout(total=600)


class Route(NamedTuple):
    """Where a kind of file is posted.

    Attributes:
        path: of the URL.
        read: takes the score out of the answer's JSON.
    """

    path: str
    read: Callable[[Any], float]


class Refused(RuntimeError):
    """An answer without a score."""


def client() -> aiohttp.ClientSession:
    """With as many connections as there are calls."""
    return aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=0))


async def score_of(session: aiohttp.ClientSession, url: str, route: Route, task: Task, number: int) -> float:
    """The score of the body with this number.

    Raises:
        Refused: there is none in the answer.
        aiohttp.ClientError: there is no answer.
    """
    headers = {"content-type": CONTENT_TYPE[task]}
    async with session.post(f"{url}{route.path}", data=body(task, number), headers=headers) as response:
        text = await response.text()
    return read_score(response.status, text, route)


def read_score(status: int, text: str, route: Route) -> float:
    """The score in an answer.

    Raises:
        Refused: there is none.
    """
    try:
        score = float(route.read(json.loads(text))) if status == 200 else math.nan
    except (ValueError, KeyError, TypeError):
        score = math.nan
    if not math.isfinite(score):
        raise Refused(f"{route.path} answered {status}: {text[:500]}")
    return score


class Caller:
    """Posts files, and counts what gets no score instead of stopping at it: other servers may drop calls under load.

    Attributes:
        failures: what was wrong with each.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, route: Route, task: Task) -> None:
        self._to = (session, url, route, task)
        self.failures: list[str] = []

    async def call(self, number: int) -> None:
        """Posts the body with this number."""
        try:
            await score_of(*self._to, number)
        except (Refused, aiohttp.ClientError, TimeoutError) as error:  # the last where a server never answers
            self.failures.append(str(error) or type(error).__name__)
