"""What the published MiniFASNet pair says of faces: a teacher, which has seen real attacks where simulators have none.

Its weights are read from a folder outside the project: `minifasnet-v2-2.7-80x80.onnx` and
`minifasnet-v1se-4.0-80x80.onnx` of Silent-Face-Anti-Spoofing (Minivision, Apache-2.0), exported with raw logits of
three classes, of which 1 is live.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import openvino  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch.nn import functional

NAMES: Final = ("minifasnet-v2-2.7-80x80.onnx", "minifasnet-v1se-4.0-80x80.onnx")
FACTORS: Final = (2.7, 4.0)
"""Of the face's box: what each network is given."""
WIDTH: Final = 256
"""Numbers of both networks together that their last layers see."""
_SIDE = 80
_LIVE = 1
_CLOSEST = 1e-3
"""No probability is nearer to 0 or 1: what a teacher is sure of, it need not be right about."""


class Opinion(NamedTuple):
    """What the pair says of n faces.

    Attributes:
        fake: log odds of fake, float32 (n,).
        seen: what both last layers see, float32 (n, `WIDTH`).
    """

    fake: NDArray[np.float32]
    seen: NDArray[np.float32]


class PublishedPair:
    """Both networks on one thread, their probabilities averaged.

    Each picture is resized twice, with a filter that reads single pixels, as its authors do, and with one that reads
    all: the first alone depends on where each pixel lies, which nothing can learn.

    Args:
        folder: of the two files.

    Raises:
        FileNotFoundError: one of them is not there.
    """

    def __init__(self, folder: Path) -> None:
        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self._networks = []
        for name in NAMES:
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name}: the published pair's weights are needed")
            model = core.read_model(folder / name)
            last = model.get_results()[0].input_value(0).get_node()
            model.add_outputs(last.input_value(0))
            self._networks.append(core.compile_model(model, "CPU"))

    def judge(self, crops: Sequence[Sequence[NDArray[np.uint8]]]) -> Opinion:
        """Judges n faces.

        Args:
            crops: of each face, for each network the crop of its `FACTORS`, uint8 (height, width, 3), RGB.
        """
        chances, seen = zip(*(self._heard(place, [face[place] for face in crops]) for place in (0, 1)), strict=True)
        chance = np.clip(np.mean(chances, 0), _CLOSEST, 1 - _CLOSEST)
        return Opinion(np.log((1 - chance) / chance).astype(np.float32), np.concatenate(seen, 1))

    def _heard(self, place: int, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], ...]:
        """Probability of live, and what the last layer sees, of one network; the means of both filters."""
        planes = [
            torch.from_numpy(np.ascontiguousarray(each[..., ::-1].transpose(2, 0, 1))[None]).float()
            for each in pictures
        ]
        outputs = []
        for antialias in (False, True):
            small = [
                functional.interpolate(
                    each, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=antialias
                )
                for each in planes
            ]
            outputs.append(self._networks[place](torch.cat(small).numpy()))
        live = [torch.softmax(torch.from_numpy(output[0]), 1)[:, _LIVE].numpy() for output in outputs]
        return np.mean(live, 0), np.mean([output[1] for output in outputs], 0)
