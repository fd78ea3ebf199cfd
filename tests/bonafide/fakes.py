"""A runner's remote side in this process, for tests of the code in front of it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bonafide.runner.remote import RunnerResult
from bonafide.runner.runner import Runner
from bonafide.verdict import PhotoScore, WindowScore
from models.info import ModelInfo

T = TypeVar("T")

INFO: dict[str, Any] = {
    "task": "voice",
    "name": "test-model",
    "version": "0123456789ab",
    "architecture": "Test",
    "reference": "test",
    "local_path": "nowhere",
    "demo": True,
    "labels": ["bonafide", "spoof"],
    "spoof_index": 1,
    "engine": "torch",
    "device": "cpu",
    "precision": "fp32",
    "max_batch_size": 4,
    "geometry": {
        "resize_shortest_edge": 8,
        "resize_height": None,
        "resize_width": None,
        "crop_height": 8,
        "crop_width": 8,
        "resample": 3,
    },
}


MODEL = ModelInfo.from_dict(INFO)
MEMBERS: dict[str, Any] = {
    "members": [
        {"name": name, "version": name, "weight": 0.5, "engine": "torch", "device": "cpu", "precision": "fp32"}
        for name in ("one", "two")
    ]
}
"""What the description of an ensemble has besides."""


def mean_level(item: NDArray[Any]) -> float:
    """Share of the items' samples that are not zero: a predictable score."""
    return float(np.mean(item != 0))


def all_speech(item: NDArray[Any]) -> float:
    """All speech."""
    return 1.0


class LocalRemote:
    """Scores in this process, counts its calls, and waits or fails on request.

    Args:
        judge: the score of a window or photo.
        speech: the share of a window that is speech.
    """

    def __init__(
        self,
        judge: Callable[[NDArray[Any]], float] = mean_level,
        speech: Callable[[NDArray[Any]], float] = all_speech,
    ) -> None:
        self.judge = judge
        self.speech = speech
        self.members: Callable[[NDArray[Any]], tuple[float, ...]] = lambda item: ()
        self.model = INFO
        self.previous: dict[str, Any] | None = None
        self.refused: Exception | None = None
        self.scored = 0
        self.calls = 0
        self.in_progress = 0
        self.most_in_progress = 0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        self.calls += 1
        self.in_progress += len(items)
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
            if self.errors:
                raise self.errors.pop(0)
            self.scored += len(items)
            return self._results(items, self.model)
        finally:
            self.in_progress -= len(items)

    async def score_previous(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        await asyncio.sleep(0)
        if self.previous is None:
            return [RunnerResult(None, 0.0, len(items), "") for _ in items]
        return self._results(items, self.previous)

    def _results(self, items: list[NDArray[Any]], model: dict[str, Any]) -> list[RunnerResult]:
        fingerprint = ModelInfo.from_dict(model).fingerprint
        return [RunnerResult(self._judged(item), 0.001, len(items), fingerprint) for item in items]

    def _judged(self, item: NDArray[Any]) -> Any:
        """As a runner sends it."""
        score, members = self.judge(item), self.members(item)
        if item.dtype == np.int16:
            return WindowScore(score, self.speech(item), members).numbers
        return PhotoScore(score, members).numbers

    async def info(self) -> dict[str, Any]:
        return self.model

    async def replace(self, reference: str, spoof_label: str | None) -> int:
        """The reference is the new model's name and version."""
        await self.open.wait()
        if self.refused is not None:
            raise self.refused
        self.previous, self.model = self.model, self.model | {"name": reference, "version": reference}
        return 1

    @property
    def replicas(self) -> int:
        return 1

    async def close(self) -> None:
        """Nothing is open."""


class Recorder:
    """Records its observations."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int]] = []
        self.scored = 0
        self.cached = 0

    def batch(self, runner: str, items: int, total_s: float, inference_s: float, batch_size: int) -> None:
        assert total_s >= 0
        assert inference_s >= 0
        self.batches.append((runner, items))

    def calls(self, runner: str, active: int) -> None:
        assert active >= 0

    def replicas(self, runner: str, serving: int) -> None:
        assert serving >= 0

    def chunks(self, *, scored: int, cached: int) -> None:
        self.scored += scored
        self.cached += cached


async def ready_runner(
    remote: LocalRemote, read: Callable[[Any], T], *, max_calls: int = 8, max_batch: int = 4
) -> Runner[T]:
    """A runner that has been probed."""
    remote.model = {**remote.model, "max_batch_size": max_batch}
    runner = Runner("test", remote, read=read, max_calls=max_calls, observer=Recorder())
    await runner.probe()
    return runner
