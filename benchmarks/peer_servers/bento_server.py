"""BentoML without Bonafide: a service that decodes, and a runner with adaptive batching for each model.

Usage: bentoml serve benchmarks.peer_servers.bento_server:Plain
"""

import asyncio
from typing import Any

import bentoml

from benchmarks.peer_servers.model import Model, decoder, described

_TIMEOUT: Any = {"timeout": 600}
_RUNNER: Any = {
    "traffic": _TIMEOUT,
    # As it comes, it closes the connection to a runner after 100 requests, and fails the calls that are in flight.
    "runner_connection": {"max_requests": 2**31, "max_age": 1e9},
}


@bentoml.service(**_RUNNER)
class Voice:
    """Scores windows."""

    def __init__(self) -> None:
        self.model = Model("voice")

    @bentoml.api(batchable=True, max_batch_size=described("voice")["max_batch"])
    def score(self, items: list[Any]) -> list[Any]:
        """See `Model.score`."""
        return self.model.score(items)


@bentoml.service(**_RUNNER)
class Face:
    """Scores photos."""

    def __init__(self) -> None:
        self.model = Model("face")

    @bentoml.api(batchable=True, max_batch_size=described("face")["max_batch"])
    def score(self, items: list[Any]) -> list[Any]:
        """See `Model.score`."""
        return self.model.score(items)


@bentoml.service(http={"host": "127.0.0.1"}, traffic=_TIMEOUT)
class Plain:
    """Takes the bytes."""

    voices = bentoml.depends(Voice)
    faces = bentoml.depends(Face)

    def __init__(self) -> None:
        self.decode_voice, self.decode_face = decoder("voice"), decoder("face")

    @bentoml.api
    async def voice(self, body: bytes, /) -> float:
        """The score of a recording."""
        return await _score(self.voices, self.decode_voice(body))  # a window takes no time to read

    @bentoml.api
    async def face(self, body: bytes, /) -> float:
        """The score of a photo."""
        return await _score(self.faces, await asyncio.to_thread(self.decode_face, body))


async def _score(runner: Any, item: Any) -> float:
    (score,) = await runner.to_async.score([item])
    return float(score)
