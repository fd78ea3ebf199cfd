"""A handful of recordings and photos that even a tiny random model can learn to separate, in the usual layouts."""

from pathlib import Path

import numpy as np
from PIL import Image

from lab.line.samples import RATE
from lab.training.data import manifest
from lab.training.data.manifest import Item, Split
from lab.training.data.voice_audio import decode, save
from tests.media import encode_image, photo

SAMPLES = Path(__file__).parents[3] / "data" / "objects" / "samples"
SIZES: dict[Split, int] = {"train": 12, "dev": 6, "test": 6}


def recordings(folder: Path) -> Path:
    """A manifest of pieces of a real recording, and of the same with a whistle in them."""
    speech = decode(SAMPLES / "call.mp3")
    items = []
    for split, count in SIZES.items():
        for index in range(count):
            spoof = index % 2 == 1
            start, seconds = 3000 * (count + index), 9 if index == 0 else 3
            sound = np.roll(speech, -start)[: seconds * RATE]
            if spoof:
                whistle = 0.1 * np.sin(2 * np.pi * 2500 * np.arange(len(sound)) / RATE)
                sound = sound + whistle.astype(np.float32)
            path = folder / f"{split}-{index}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(sound, path)
            label, attack = ("spoof", "whistle") if spoof else ("bonafide", "-")
            items.append(Item(path, label, path.stem, "made", "CC0", attack, split))  # type: ignore[arg-type]
    manifest.write(items, folder / "manifest.jsonl")
    return folder / "manifest.jsonl"


def photos(folder: Path) -> Path:
    """Folders train, dev and test with live photos and striped ones in them."""
    for split, count in SIZES.items():
        for index in range(count):
            pixels = np.asarray(photo(90, 80, seed=100 * count + index), np.int16)
            if index % 2:
                pixels = pixels + 90 * (np.arange(pixels.shape[1]) // 4 % 2)[None, :, None]
            path = folder / split / ("spoof/stripes" if index % 2 else "live") / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_image(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG"))
    return folder
