"""What the published MiniFASNet pair says of faces: a teacher, which has seen real attacks where simulators have none.

Its weights are read from a folder outside the project: `minifasnet-v2-2.7-80x80.onnx` and
`minifasnet-v1se-4.0-80x80.onnx` of Silent-Face-Anti-Spoofing (Minivision, Apache-2.0), exported with raw logits of
three classes, of which 1 is live.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from models.openvino_engine import openvino

NAMES: Final = ("minifasnet-v2-2.7-80x80.onnx", "minifasnet-v1se-4.0-80x80.onnx")
WIDTH: Final = 256
"""Numbers of both networks together that their last layers see."""
STAGES: Final = ("/conv_3/", "/conv_4/", "/conv_5/")
"""Of each network, whose maps are read: 64 channels of 20 x 20, 128 of 10 x 10, 128 of 5 x 5."""
LIVE: Final = 1
_CLOSEST = 1e-3
"""No probability is nearer to 0 or 1: what a teacher is sure of, it need not be right about."""


class PairOutput(NamedTuple):
    """What the pair says of n faces.

    Attributes:
        fake: log odds of fake, float32 (n,).
        seen: what both last layers see, float32 (n, `WIDTH`).
        near: maps of the first network after each of its `STAGES`, float32 (n, channels, edge, edge).
        wide: the same of the second.
    """

    fake: Tensor
    seen: Tensor
    near: list[Tensor]
    wide: list[Tensor]


class PublishedPair:
    """Both networks, their probabilities averaged.

    Args:
        folder: of the two files.
        threads: of the processor.

    Raises:
        FileNotFoundError: one of them is not there.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._networks = networks(folder, threads, _with_maps)

    def judge(self, near: Tensor, wide: Tensor) -> PairOutput:
        """Judges n faces.

        Args:
            near: the face's box times 2.7, float32 (n, 3, 80, 80), RGB, 0..1.
            wide: the same times 4.0.
        """
        first, second = (
            [
                torch.from_numpy(output.copy())
                for output in network((pictures.flip(1) * 255).contiguous().numpy()).values()
            ]
            for network, pictures in zip(self._networks, (near, wide), strict=True)
        )
        live = (torch.softmax(first[0], 1)[:, LIVE] + torch.softmax(second[0], 1)[:, LIVE]) / 2
        live = live.clamp(_CLOSEST, 1 - _CLOSEST)
        return PairOutput(torch.log((1 - live) / live), torch.cat([first[1], second[1]], 1), first[2:], second[2:])


def networks(folder: Path, threads: int, opened: Callable[[Any], Any]) -> list[Any]:
    """Both networks, ready to compute in fp32.

    Args:
        folder: of their files.
        threads: of the processor.
        opened: adds outputs to a network that was read.

    Raises:
        FileNotFoundError: a file is not there.
    """
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
    found = []
    for path in (folder / name for name in NAMES):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the published pair's weights are needed")
        found.append(core.compile_model(opened(core.read_model(path)), "CPU"))
    return found


def _with_maps(model: Any) -> Any:
    """A network that also gives what its last layer sees, and the sum at the end of each of its `STAGES`."""
    last = model.get_results()[0].input_value(0).get_node()
    sums = [node for node in model.get_ordered_ops() if node.get_friendly_name().endswith("/Add")]
    ends = [[node for node in sums if node.get_friendly_name().startswith(stage)][-1] for stage in STAGES]
    model.add_outputs([last.input_value(0), *(node.output(0) for node in ends)])
    return model
