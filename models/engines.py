"""Selects the engine that runs a model: torch on CUDA, OpenVINO on a CPU."""

import logging

from models.devices import cuda_is_available
from models.engine import Engine, EngineModel
from models.errors import EngineUnavailable, UnsupportedModel
from models.options import LoadOptions

logger = logging.getLogger(__name__)


def open_engine(model: EngineModel, options: LoadOptions) -> Engine:
    """Selects an engine, loads the model into it, and warms it up, so that the first call is as fast as the next.

    Raises:
        EngineUnavailable: the engine or precision that the options require is not available here.
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
