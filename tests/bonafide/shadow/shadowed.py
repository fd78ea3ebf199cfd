"""A second model in this process, and what its comparisons come to."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bonafide.runner.runner import Runner
from bonafide.shadow.comparisons import Comparisons
from models.info import Task
from tests.bonafide.fakes import INFO, LocalRemote, ready_runner


class ShadowRemote(LocalRemote):
    """Gives scores alone, of windows too; another model than the served one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.model = INFO | {"name": "second-model", "version": "ba9876543210"}

    def _judged(self, item: NDArray[Any]) -> float:
        return self.judge(item)


@dataclass
class Seen:
    """Records the observations of a shadow."""

    outcomes: Counter[str] = field(default_factory=Counter)
    scores: list[tuple[float, float]] = field(default_factory=list)

    def shadow(self, task: str, outcome: str, count: int = 1) -> None:
        self.outcomes += Counter({str(outcome): count})

    def shadow_score(self, task: str, served: float, shadow: float) -> None:
        self.scores.append((served, shadow))


def comparisons(seen: Seen, task: Task = "voice", **chosen: Any) -> Comparisons:
    """At once, of every answer, unless chosen otherwise."""
    options: dict[str, Any] = {"share": 1.0, "max_bytes": 10_000_000, "timeout_s": 10.0, "pause_s": 0.0, **chosen}
    return Comparisons(task, observer=seen, **options)


async def shadow_runner(remote: ShadowRemote) -> Runner[float]:
    return await ready_runner(remote, float, max_batch=2)


async def done(work: Comparisons) -> None:
    """Returns when nothing is pending."""
    async with asyncio.timeout(10):
        while work.pending:
            await asyncio.sleep(0.001)
