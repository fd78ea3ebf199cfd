"""From the bytes of a file to a score, as short as it can be: one kind of file, one window, no look at what is in it.

All peers share this, so that they differ in how they serve alone.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino  # type: ignore[import-untyped]
import soundfile
from numpy.typing import NDArray
from openvino import properties
from PIL import Image

from benchmarks.peer_servers import DESCRIPTION

Task = Literal["voice", "face"]

SAMPLE_RATE = 16_000


def described(task: Task) -> dict[str, Any]:
    """What the benchmark says of a model."""
    found: dict[str, Any] = json.loads(Path(os.environ[DESCRIPTION]).read_text(encoding="utf-8"))[task]
    return found


def decoder(task: Task) -> Callable[[bytes], NDArray[Any]]:
    """A WAV file of 16 kHz -> int16 (samples,); a photo -> uint8 (height, width, 3)."""
    if task == "voice":
        return _window
    facts = described(task)
    return lambda body: _photo(body, tuple(facts["size"]))


class Model:
    """A converted model, compiled as the service compiles it.

    Attributes:
        decode: see `decoder`.
    """

    def __init__(self, task: Task) -> None:
        facts = described(task)
        self.decode = decoder(task)
        self._scale, self._offset = float(facts["scale"]), float(facts["offset"])
        settings = {
            properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
            properties.hint.inference_precision: facts["precision"],
            properties.inference_num_threads: facts["threads"],
            properties.hint.enable_cpu_pinning: False,
        }
        self._request = openvino.Core().compile_model(facts["path"], "CPU", settings).create_infer_request()

    def score(self, items: list[NDArray[Any]]) -> list[float]:
        """P(spoof) of each, calibrated as the service does it."""
        raw = self._request.infer([np.stack(items)])[0].astype(np.float64).clip(1e-6, 1 - 1e-6)
        logits = self._scale * np.log(raw / (1.0 - raw)) + self._offset
        scores: list[float] = (1.0 / (1.0 + np.exp(-logits))).tolist()
        return scores


def _window(body: bytes) -> NDArray[np.int16]:
    samples, rate = soundfile.read(io.BytesIO(body), dtype="int16")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise ValueError("only 16 kHz mono is taken")
    return np.asarray(samples, np.int16)


def _photo(body: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """All of the picture, squeezed to (width, height); where a face is nobody looks."""
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
