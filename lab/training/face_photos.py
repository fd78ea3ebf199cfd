"""Photos of a manifest as model inputs: decoded, resized and cut as the service does, and varied in training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from lab.training.data.manifest import SPOOF, Item

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Shape:
    """What the processor does: resize to `short_edge` pixels, cut `crop` pixels from the middle."""

    short_edge: int
    crop: int

    @property
    def processor(self) -> dict[str, Any]:
        """The entries of a processor's file that say the same."""
        return {
            "size": {"shortest_edge": self.short_edge},
            "do_center_crop": True,
            "crop_size": {"height": self.crop, "width": self.crop},
        }


def preprocess(
    image: Image.Image, shape: Shape, rng: np.random.Generator | None = None, turned: float = 0.0
) -> NDArray[np.uint8]:
    """Resizes and cuts a photo.

    Args:
        image: RGB.
        shape: The processor's numbers.
        rng: When given, size, place and mirroring vary.
        turned: Share of photos turned by a quarter when varying: display rows and paper lines run either way.

    Returns:
        uint8 (crop, crop, 3).
    """
    edge = shape.short_edge
    if rng is not None:
        edge = max(shape.crop, round(edge * rng.uniform(0.86, 1.2)))
    ratio = edge / min(image.size)
    size = max(edge, int(image.width * ratio)), max(edge, int(image.height * ratio))
    small = image.resize(size, Image.Resampling.BICUBIC)
    spare_x, spare_y = size[0] - shape.crop, size[1] - shape.crop
    left, top = spare_x // 2, spare_y // 2
    if rng is not None:
        left = int(np.clip(left + rng.normal(0, 0.25) * spare_x, 0, spare_x))
        top = int(np.clip(top + rng.normal(0, 0.25) * spare_y, 0, spare_y))
    pixels = np.asarray(small.crop((left, top, left + shape.crop, top + shape.crop)), np.uint8)
    if rng is not None and rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng is not None and rng.random() < turned:
        pixels = np.rot90(pixels, int(rng.choice([1, 3])))
    return np.ascontiguousarray(pixels)


def to_tensor(pixels: NDArray[np.uint8], gains: NDArray[np.float32] | None = None) -> Tensor:
    """uint8 (h, w, 3) to the model's input, float32 (3, h, w); `gains` scale the colours first."""
    scaled = pixels.astype(np.float32) / 255
    if gains is not None:
        scaled = np.clip(scaled * gains, 0, 1)
    normal = (scaled - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))


class Photos(Dataset[dict[str, Tensor]]):
    """The photos of a list of manifest rows; varied when `vary`, differently every time.

    `turned` is the share of varied photos that are turned by a quarter.
    """

    def __init__(self, items: list[Item], shape: Shape, vary: bool, turned: float = 0.0) -> None:
        self.items = items
        self.shape = shape
        self.vary = vary
        self.turned = turned

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = self.items[index]
        # torch seeds its generator anew in every worker and epoch; numpy's follows it here.
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item())) if self.vary else None
        pixels = preprocess(read_rgb(item.path), self.shape, rng, self.turned)
        gains = None
        if rng is not None:
            gains = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.05, 3)).astype(np.float32)
        return {"pixel_values": to_tensor(pixels, gains), "labels": torch.tensor(int(item.label == SPOOF))}


def read_rgb(path: Path) -> Image.Image:
    """Decodes a photo to RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")
