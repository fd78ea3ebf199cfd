"""The torch engine: CUDA in bf16, or a CPU. Weights are cast, never autocast, which on a CPU is many times slower."""

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.batch_sizes import batch_size
from models.cpus import usable_cpus
from models.devices import cpu_has_bf16, cpu_is_quicker_in_bf16, cuda_is_available
from models.engine import EngineModel
from models.errors import EngineUnavailable
from models.info import Device, EngineName, Precision
from models.options import LoadOptions


class TorchEngine:
    """Runs the graph as it is, with fused attention.

    Raises:
        EngineUnavailable: bf16 is requested on a CUDA device without it.
    """

    name: EngineName = "torch"

    def __init__(self, model: EngineModel, options: LoadOptions) -> None:
        self.device: Device = "cuda" if cuda_is_available() else "cpu"
        self.precision: Precision = _precision(self.device, options)
        self.max_batch_size = batch_size(model.task, self.device, options.max_batch)
        if self.device == "cpu":
            torch.set_num_threads(options.threads or usable_cpus())
        graph = model.build().cast(torch.bfloat16 if self.precision == "bf16" else torch.float32)
        self._graph = graph.eval().to(self.device)
        self._turn = threading.Lock()

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See `models.engine.Engine`."""
        with self._turn, torch.inference_mode():
            scores = self._graph(torch.from_numpy(batch).to(self.device))
            result: NDArray[np.float32] = scores.to("cpu", torch.float32).numpy()
            return result

    def release_memory(self) -> None:
        """Nothing: on a CPU torch holds none, and on CUDA the next batch would have to ask for it again."""


def _precision(device: Device, options: LoadOptions) -> Precision:
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else cpu_has_bf16()
    if options.precision == "auto":
        return "bf16" if has_bf16 and (device == "cuda" or cpu_is_quicker_in_bf16()) else "fp32"
    if options.precision == "bf16" and not has_bf16:
        raise EngineUnavailable(f"BONAFIDE_PRECISION=bf16, but this {device} device has no bf16; use auto or fp32")
    return options.precision
