"""Engines run a model on a batch. One is picked at load: torch on CUDA, OpenVINO on a CPU."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from models.devices import cuda_is_available
from models.errors import EngineUnavailable, UnsupportedModel
from models.info import Device, EngineName, Precision

if TYPE_CHECKING:
    import numpy as np

    from models.graph import Graph

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadOptions:
    """How a model is loaded.

    Attributes:
        engine: which engine; `auto` takes torch where CUDA is, else OpenVINO.
        precision: which arithmetic; `auto` takes bf16 where the device has it.
        models_dir: where models of the hub are kept.
        compiled_dir: where converted models are kept.
        offline: never ask the hub.
        spoof_label: name or index of the class that means spoof, when its name does not tell.
        threads: CPU threads of the engine; 0: all CPUs that this process may use.
        calibrated: apply the calibration that lies beside the weights, if there is one.
    """

    models_dir: Path
    compiled_dir: Path
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    offline: bool = False
    spoof_label: str | None = None
    threads: int = 0
    calibrated: bool = True


class Engine(Protocol):
    """Runs one model on one device. `run` may be called from several threads; calls take turns."""

    name: EngineName
    device: Device
    precision: Precision
    max_batch_size: int

    def run(self, batch: NDArray[Any]) -> "NDArray[np.float32]":
        """The graph's output for each item: float32 `(n,)` for P(spoof), `(n, frames)` for speech.

        Args:
            batch: what the graph takes, one shape for all items.
        """


@dataclass(frozen=True)
class EngineModel:
    """What an engine needs of a model; the weights are read only if `build` is called.

    Attributes:
        name: for messages.
        version: changes with everything that changes a score.
        build: makes the graph, in fp32 on the CPU.
        probe: makes a valid batch of `n` items of `size`; used for warming up and for comparing engines.
        sizes: item sizes to warm up with; the first is the usual one.
        input_shape: shape of a batch for OpenVINO; -1 where it may vary.
        cpu_batch: most items at once on a CPU, where batches save little and only delay the first answer.
        cuda_batch: most items at once on CUDA.
    """

    name: str
    version: str
    build: Callable[[], "Graph"]
    probe: Callable[[int, int], NDArray[Any]]
    sizes: tuple[int, ...]
    input_shape: tuple[int, ...]
    cpu_batch: int
    cuda_batch: int


def open_engine(model: EngineModel, options: LoadOptions) -> Engine:
    """Picks an engine, gives it the model, and warms it up, so that the first call is as quick as the next.

    Raises:
        EngineUnavailable: the engine or precision that the options insist on is not available here.
        ModelError: whatever `model.build` raises.
    """
    engine = _pick(model, options)
    for size in model.sizes:
        for count in sorted({1, engine.max_batch_size}):
            engine.run(model.probe(count, size))
    logger.info(
        "engine ready",
        extra={"model": model.name, "engine": engine.name, "device": engine.device, "precision": engine.precision},
    )
    return engine


def _pick(model: EngineModel, options: LoadOptions) -> Engine:
    if options.engine == "torch" or (options.engine == "auto" and cuda_is_available()):
        return _torch(model, options)
    try:
        from models.openvino_engine import OpenVINOEngine
    except ImportError as error:
        if options.engine == "openvino":
            raise EngineUnavailable("BONAFIDE_ENGINE=openvino, but openvino is not installed") from error
        logger.warning("openvino is not installed: torch takes its place, and is slower on a CPU")
        return _torch(model, options)
    try:
        return OpenVINOEngine(model, options)
    except UnsupportedModel:
        if options.engine == "openvino":
            raise
        logger.warning("OpenVINO cannot run this model: torch takes its place", exc_info=True)
        return _torch(model, options)


def _torch(model: EngineModel, options: LoadOptions) -> Engine:
    from models.torch_engine import TorchEngine

    return TorchEngine(model, options)
