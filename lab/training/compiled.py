"""Networks of the recipes by OpenVINO, which computes them several times as fast as torch does on a CPU."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.openvino_engine import cpu_settings, openvino, traced

Floats = NDArray[np.float32]


class _Computing(nn.Module):
    def __init__(self, compute: Callable[[Tensor], Tensor], network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._compute = compute

    def forward(self, samples: Tensor) -> Tensor:
        return self._compute(samples)


def program(network: nn.Module, samples: int, settings: Mapping[Any, Any]) -> openvino.CompiledModel:
    """A network for single windows, float32 (1, samples).

    Args:
        network: as it is; its weights have no gradient afterwards.
        samples: of a window.
        settings: OpenVINO's; without any it computes in bfloat16 where the processor does.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each size it takes for a constant
        converted = traced(network, torch.rand(1, samples) - 0.5)
    converted.reshape([1, samples])
    return openvino.Core().compile_model(converted, "CPU", dict(settings))


def compiled(
    compute: Callable[[Tensor], Tensor], network: nn.Module, samples: int
) -> Callable[[Iterable[NDArray[Any]]], Floats]:
    """What computes something by a network on windows, one at a time, in float32.

    Args:
        compute: float32 (1, samples) -> (1, ...).
        network: whose weights it takes; they have no gradient afterwards.
        samples: of a window.

    Returns:
        Windows (n, samples), of any type -> float32 (n, ...).
    """
    of_window = program(_Computing(compute, network).train(False), samples, cpu_settings("fp32", threads=0))

    def run(windows: Iterable[NDArray[Any]]) -> Floats:
        return np.concatenate([of_window(np.asarray(each[None], np.float32))[0].copy() for each in windows])

    return run
