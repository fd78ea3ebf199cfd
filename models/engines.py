"""Selects the engine that runs a model: torch on CUDA, OpenVINO on a CPU."""

import logging
from typing import TYPE_CHECKING

from models.devices import cuda_is_available, driver_sees_a_device
from models.engine import Engine, EngineModel, require_numbers
from models.errors import EngineUnavailable, UnsupportedModel
from models.options import LoadOptions

if TYPE_CHECKING:
    from models.openvino_engine import OpenVINOEngine
    from models.torch_engine import TorchEngine

logger = logging.getLogger(__name__)


def open_engine(model: EngineModel, options: LoadOptions) -> Engine:
    """Selects an engine, loads the model into it, and warms it up, so that the first call is as fast as the next.

    Raises:
        EngineUnavailable: the engine or precision that the options require is not available here.
        CheckpointMismatch: it computes no numbers.
        ModelError: whatever `model.build` raises.
    """
    engine = _pick(model, options)
    for size in model.sizes:
        for count in sorted({1, engine.max_batch_size}):
            require_numbers(model.name, engine.run(model.probe(count, size)))
    engine.release_memory()
    logger.info(
        "engine ready",
        extra={"model": model.name, "engine": engine.name, "device": engine.device, "precision": engine.precision},
    )
    return engine


def _pick(model: EngineModel, options: LoadOptions) -> "OpenVINOEngine | TorchEngine":
    if model.converted is not None:
        return _for_converted(model, options)
    if options.engine == "torch" or (options.engine == "auto" and cuda_is_available()):
        return _torch(model, options)
    try:
        from models.openvino_engine import OpenVINOEngine
    except ImportError as error:
        if options.engine == "openvino":
            raise EngineUnavailable(
                "BONAFIDE_ENGINE=openvino, but openvino is not installed: install it, or use auto"
            ) from error
        logger.warning("openvino is not installed: torch takes its place, and is slower on a CPU")
        return _torch(model, options)
    try:
        return OpenVINOEngine(model, options)
    except UnsupportedModel:
        if options.engine == "openvino":
            raise
        logger.warning("OpenVINO cannot run this model: torch takes its place", exc_info=True)
        return _torch(model, options)


def _for_converted(model: EngineModel, options: LoadOptions) -> "OpenVINOEngine":
    if options.engine == "torch":
        raise EngineUnavailable(
            f"BONAFIDE_ENGINE=torch, but {model.name} is converted for OpenVINO; use auto, or give its checkpoint"
        )
    if options.engine == "auto" and driver_sees_a_device():
        logger.warning("a converted model runs on the CPU, not on the CUDA device; give its checkpoint for that")
    try:
        from models.openvino_engine import OpenVINOEngine
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{model.name} is converted for OpenVINO, but openvino is not installed: install it, or give the checkpoint"
        ) from error
    return OpenVINOEngine(model, options)


def _torch(model: EngineModel, options: LoadOptions) -> "TorchEngine":
    try:
        from models.torch_engine import TorchEngine
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{model.name} would need torch, which is not installed here ({error}); "
            "set BONAFIDE_ENGINE to openvino or auto, or use the cuda image"
        ) from error
    return TorchEngine(model, options)
