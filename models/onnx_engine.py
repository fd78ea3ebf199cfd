"""The engine of ONNX models: OpenVINO on the CPU, in fp32 unless bf16 is asked for.

What was published was trained and measured in fp32; in bf16, logits of small models differ by some hundredths.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.batch_sizes import batch_size
from models.errors import EngineUnavailable, UnsupportedModel
from models.info import Device, EngineName, Precision, Task
from models.onnx_graph import OnnxGraph
from models.openvino_engine import cpu_precision, cpu_settings, openvino
from models.options import LoadOptions

logger = logging.getLogger(__name__)

_SAME: Mapping[Precision, float] = {"fp32": 1e-3, "bf16": 0.02}
"""Largest difference of an output between an item alone and the same one among others, as a share of the largest
output and at least of 1. Not of scores: those of sounds that speak of nothing are often all near 0 or 1."""


class OnnxEngine:
    """Prepares a batch, computes it, and reads its scores. See `models.engine.Engine`.

    Args:
        graph: that fits its manifest.
        prepare: a batch as transported -> float32 `(n, ...)`.
        read: the graph's output `(n, ...)` -> P(spoof), float32 `(n,)`.
        task: whose batch sizes it takes.
        options: threads and precision.

    Raises:
        EngineUnavailable: torch, or bf16 on a CPU without it, is requested.
        UnsupportedModel: the graph cannot be compiled.
    """

    name: EngineName = "openvino"
    device: Device = "cpu"

    def __init__(
        self,
        graph: OnnxGraph,
        prepare: Callable[[NDArray[Any]], NDArray[np.float32]],
        read: Callable[[NDArray[Any]], NDArray[np.float32]],
        task: Task,
        options: LoadOptions,
    ) -> None:
        if options.engine == "torch":
            raise EngineUnavailable("BONAFIDE_ENGINE=torch, but ONNX models run in OpenVINO: use auto or openvino")
        core = openvino.Core()
        self.precision: Precision = "fp32" if options.precision == "auto" else cpu_precision(core, options)
        self.max_batch_size = batch_size(task, self.device, options.max_batch)
        self._prepare = prepare
        self._read = read
        self._shape = graph.item_shape
        self._one_by_one = graph.batch == 1
        try:
            self._compiled = core.compile_model(graph.graph, "CPU", cpu_settings(self.precision, options.threads))
        except RuntimeError as error:
            raise UnsupportedModel(
                f"OpenVINO cannot compile {graph.files[0]}: {error}; export it again with another opset_version"
            ) from error
        self._output = self._compiled.output(graph.output)
        self._request = self._compiled.create_infer_request()
        self._turn = threading.Lock()

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See `models.engine.Engine`."""
        return self._read(self._outputs(batch))

    def warm_up(self, item: NDArray[Any]) -> None:
        """Computes items alone and in a full batch, and goes on one by one if others change what is computed of them.

        Raises:
            UnsupportedModel: the graph fails, or gives no scores.
        """
        others = np.stack([np.roll(item // (index + 1), 97 * index) for index in range(self.max_batch_size)])
        try:
            if not np.isfinite(self.run(others[:1])).all():
                raise UnsupportedModel("the ONNX graph computes no probability: correct output.kind in the manifest")
            if not self._one_by_one and len(others) > 1 and self._items_meet(others):
                logger.warning("items of a batch change each other's scores: they are computed one by one")
                self._one_by_one = True
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModel(
                f"the ONNX graph fails on input as the manifest describes it: {error}; correct one"
            ) from error
        self._compiled.release_memory()

    def _items_meet(self, items: NDArray[Any]) -> bool:
        """Whether the first or the last of a batch has other outputs than alone, as where one's are given to all."""
        alone = np.concatenate([self._outputs(items[:1]), self._outputs(items[-1:])])
        try:
            together = self._outputs(items)[[0, -1]]
        except (RuntimeError, ValueError):  # of a graph for single items
            return True
        largest = max(1.0, float(np.abs(alone).max()))
        return together.shape != alone.shape or not np.abs(together - alone).max() <= _SAME[self.precision] * largest

    def _outputs(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The graph's output of each item, `(n, ...)` as `(n, m)`."""
        inputs = self._prepare(batch)
        inputs = inputs.reshape(len(inputs), *(inputs.shape[-1] if size == -1 else size for size in self._shape))
        with self._turn:
            if self._one_by_one:
                return np.concatenate([self._computed(one[np.newaxis]) for one in inputs])
            return self._computed(inputs)

    def _computed(self, inputs: NDArray[np.float32]) -> NDArray[Any]:
        outputs: NDArray[Any] = self._request.infer([inputs])[self._output]
        return np.array(outputs).reshape(len(inputs), -1)
