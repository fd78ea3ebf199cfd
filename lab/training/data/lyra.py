"""A neural codec's copy of a window: the SoundStream encoder, quantiser and decoder of Lyra V2 (Apache-2.0).

The copy has the words, the voice, the room and the noise of its original, so nothing but the vocoder tells the two
apart. The folder with `soundstream_encoder.tflite`, `quantizer.tflite` and `lyragan.tflite` is named by
`BONAFIDE_LYRA_DIR`; the package `ai-edge-litert` runs them.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lab.line.samples import Samples
from lab.training.data.voice_audio import WINDOW

FILES = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")
BITS = (64, 120, 184)
"""Of a frame of 20 ms: 3.2, 6 and 9.2 kbit/s."""

_FRAME = 320
_QUANTISER_BITS = 4


class NoCodec(RuntimeError):
    """The codec's weights are not where the environment says."""


def lyra_dir() -> Path:
    """The folder that `BONAFIDE_LYRA_DIR` names.

    Raises:
        NoCodec: it is not set, or one of the files is not there.
    """
    named = Path(os.environ.get("BONAFIDE_LYRA_DIR", ""))
    missing = [name for name in FILES if not (named / name).is_file()]
    if missing:
        raise NoCodec(f"BONAFIDE_LYRA_DIR must name a folder with Lyra's weights; there is no {', '.join(missing)}")
    return named


def neural_copy(samples: Samples, rng: np.random.Generator) -> Samples:
    """Codes and decodes a window.

    Args:
        samples: float32 (64000,), -1..1.
        rng: draws the bit rate.

    Returns:
        float32 (64000,), aligned with the input to a few samples.

    Raises:
        NoCodec: the weights are not there.
    """
    encoder, encode, decode, decoder = _programs(lyra_dir())
    # The recurrent state lives in the programs: each window begins anew.
    for program in (encoder, decoder):
        program.reset_all_variables()
    wanted = np.array(int(rng.choice(BITS)) // _QUANTISER_BITS, np.int32)
    coded = []
    for start in range(0, WINDOW, _FRAME):
        features = _run(encoder, samples[start : start + _FRAME].reshape(_shape(encoder)))
        codes = encode(input_frames=features, num_quantizers=wanted)["output_0"]
        restored = decode(encoding_indices=codes)["output_0"]
        coded.append(_run(decoder, restored.reshape(_shape(decoder))).reshape(-1))
    return np.asarray(np.clip(np.concatenate(coded)[:WINDOW], -1, 1), np.float32)


@cache
def _programs(folder: Path) -> tuple[Any, Any, Any, Any]:
    """Encoder, the quantiser's two ways, decoder."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    encoder, quantiser, decoder = (Interpreter(model_path=str(folder / name), num_threads=1) for name in FILES)
    encoder.allocate_tensors()
    decoder.allocate_tensors()
    encode, restore = (quantiser.get_signature_runner(name) for name in ("encode", "decode"))
    return encoder, encode, restore, decoder


def _shape(program: Any) -> tuple[int, ...]:
    return tuple(program.get_input_details()[0]["shape"])


def _run(program: Any, values: Any) -> Any:
    program.set_tensor(program.get_input_details()[0]["index"], np.ascontiguousarray(values, np.float32))
    program.invoke()
    return program.get_tensor(program.get_output_details()[0]["index"])
