"""A voice runner without a model that says it has a GPU with batches of 64.

Served by test_workers.py and `benchmarks.workers` in the place of `service.py`'s.
"""

from dataclasses import replace
from typing import Any

import bentoml

from bonafide.runner.remote import RunnerResult
from bonafide.verdict import WindowScore
from tests.bonafide import fakes

BATCH = 64
MODEL = replace(
    fakes.MODEL,
    name="stub",
    device="cuda",
    precision="bf16",
    max_batch_size=BATCH,
    geometry=None,
    sample_rate=16_000,
    window_samples=64_000,
)


@bentoml.service(name="WavLMRunner", workers=1, http={"host": "127.0.0.1"})
class WavLMRunner:
    """Its APIs are those of the runner in `service.py`."""

    @bentoml.api(batchable=True, max_batch_size=4 * BATCH, max_latency_ms=60_000)
    def score(self, items: list[Any]) -> list[Any]:
        """P(spoof) 0.5 and all speech."""
        return [RunnerResult(WindowScore(0.5, 1.0), 0.01, len(items), MODEL.fingerprint) for _ in items]

    @bentoml.api
    async def info(self) -> dict[str, Any]:
        """A GPU's batch."""
        return MODEL.to_dict()


@bentoml.service(name="Stub", workers=1)
class Stub:
    """Not started: BentoML's runners are dependencies of a service."""

    voice = bentoml.depends(WavLMRunner)
