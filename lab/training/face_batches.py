"""Faces to learn from: moved and varied anew each time, some of them laid over another one."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.training.data.face_crops import Crops
from lab.training.face_variation import varied
from lab.training.face_views import moved


class Faces(NamedTuple):
    """Of n faces.

    Attributes:
        pictures: what the model is given, float32 (n, 3, `SIDE`, `SIDE`), RGB, 0..1 in steps of 1/255.
        near: see `Views`.
        spoof: 1, 0, or -1 where there is no label; float32 (n,).
    """

    pictures: Tensor
    near: Tensor
    spoof: Tensor


def drawn(crops: Crops, places: NDArray[np.int64], blended: float, rng: np.random.Generator) -> Faces:
    """Faces of the training split.

    Args:
        crops: of that split.
        places: which of them.
        blended: share that is laid over another one, and has no label then.
        rng: draws what changes.
    """
    views = moved(crops.pictures[places], crops.boxes[places], rng)
    wide = varied(views.wide, rng)
    spoof = torch.from_numpy(crops.spoof[places].astype(np.float32))
    if count := round(blended * len(places)):
        share = torch.from_numpy(rng.uniform(0.2, 0.8, (count, 1, 1, 1)).astype(np.float32))
        wide[:count] = share * wide[:count] + (1 - share) * wide[:count].roll(1, 0)
        spoof[:count] = -1
    return Faces(torch.round(wide * 255) / 255, views.near, spoof)


def order_of(seed: int, step: int, count: int, size: int) -> tuple[NDArray[np.int64], np.random.Generator]:
    """Which faces a step takes, each once in an epoch, and what draws their changes: a resumed training finds both.

    Args:
        seed: of the training.
        step: from 0 on.
        count: of all faces.
        size: of a batch.
    """
    epoch, place = divmod(step, count // size)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * size :][:size], np.random.default_rng([seed, epoch, place])
