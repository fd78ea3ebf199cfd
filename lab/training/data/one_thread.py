"""Networks that make data run on one thread of a processor each, in float32: processes share out the work."""

from pathlib import Path
from typing import Any

from models.openvino_engine import openvino


def compiled(model: Any) -> Any:
    """A model of OpenVINO, or the file of one, ready to be called."""
    options = {
        openvino.properties.inference_num_threads: 1,
        openvino.properties.hint.enable_cpu_pinning: False,  # all processes would run on the first processor
        openvino.properties.hint.inference_precision: openvino.Type.f32,
    }
    return openvino.Core().compile_model(model if not isinstance(model, Path) else str(model), "CPU", options)
