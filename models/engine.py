"""What an engine is, and what it needs of a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointMismatch
from models.info import Device, EngineName, Precision, Task

if TYPE_CHECKING:
    from pathlib import Path

    from models.graph import Graph


class Engine(Protocol):
    """Runs one model on one device. `run` may be called from several threads; calls are serialised."""

    name: EngineName
    device: Device
    precision: Precision
    max_batch_size: int

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The graph's output for each item: float32 `(n,)` for P(spoof), `(n, frames)` for speech.

        Args:
            batch: what the graph takes, one shape for all items.
        """


@dataclass(frozen=True)
class EngineModel:
    """What an engine needs of a model; the weights are read only if `build` is called.

    Attributes:
        name: used in messages.
        version: changes with everything that changes a score.
        build: builds the graph, in fp32 on the CPU.
        probe: makes a valid batch of `n` items of `size`; used for warming up and for comparing engines.
        sizes: item sizes to warm up with; the first is the usual one.
        input_shape: shape of a batch for OpenVINO; -1 where it may vary.
        task: whose batch sizes it takes.
        converted: folder of the converted graph (`models.converted`); `build` is then never called. None: not yet.
    """

    name: str
    version: str
    build: Callable[[], "Graph"]
    probe: Callable[[int, int], NDArray[Any]]
    sizes: tuple[int, ...]
    input_shape: tuple[int, ...]
    task: Task
    converted: "Path | None" = None


def require_numbers(name: str, outputs: NDArray[Any]) -> None:
    """Refuses a model that computes NaN or infinity of a probe: it would judge nothing, call after call.

    Raises:
        CheckpointMismatch: it does.
    """
    if not np.isfinite(outputs).all():
        raise CheckpointMismatch(
            f"{name} computes no number of a valid input: its weights hold NaN or infinity; get the files again, or "
            "take an earlier checkpoint of the training"
        )
