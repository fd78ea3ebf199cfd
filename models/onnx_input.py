"""From transported bytes to what an ONNX model takes, and from its output to P(spoof): numpy, as a manifest says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest_fields import Output, PictureInput, SamplesInput

Floats = NDArray[np.float32]
_FULL_SCALE = np.float32(32768.0)
_LEAST_VARIANCE = 1e-7
"""As in transformers' Wav2Vec2FeatureExtractor: it matters for near-silence."""


def prepared_samples(windows: NDArray[np.int16], given: SamplesInput) -> Floats:
    """int16 `(n, samples)` at 16 kHz -> float32 of the same shape, as the model was trained with."""
    samples = windows.astype(np.float32)
    if given.scale != "int16":
        samples /= _FULL_SCALE
    if given.pre_emphasis is not None:
        samples[:, 1:] -= np.float32(given.pre_emphasis) * samples[:, :-1].copy()
    if given.scale == "z_score":
        samples -= samples.mean(axis=1, keepdims=True)
        samples /= np.sqrt((samples * samples).mean(axis=1, keepdims=True) + np.float32(_LEAST_VARIANCE))
    return samples


def prepared_pictures(pictures: NDArray[np.uint8], given: PictureInput) -> Floats:
    """uint8 RGB `(n, height, width, 3)` -> float32, channels ordered and placed as the model takes them."""
    pixels = pictures.astype(np.float32)
    if given.kind == "bgr":
        pixels = pixels[..., ::-1]
    if given.scale == "unit":
        pixels = pixels / np.float32(255.0)
    pixels -= np.array(given.mean, np.float32)
    pixels /= np.array(given.std, np.float32)
    if given.layout == "nchw":
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels)


def spoof_probabilities(output: NDArray[Any], given: Output) -> Floats:
    """The model's output for each item, `(n, ...)` -> P(spoof), float32 `(n,)`; NaN where it is none.

    Raises:
        ValueError: it has no such classes.
    """
    values: NDArray[np.float64] = output.reshape(len(output), -1).astype(np.float64)
    classes = list(given.classes)
    if (values.shape[1] == 1) == bool(classes) or (classes and max(classes) >= values.shape[1]):
        raise ValueError(f"an output of shape {output.shape} has no classes {classes}")
    if classes:
        if given.kind == "logits":
            odds: NDArray[np.float64] = np.exp(values - values.max(axis=1, keepdims=True))
            values = odds / odds.sum(axis=1, keepdims=True)
        spoof = values[:, classes].sum(axis=1)
    else:
        spoof = values[:, 0]
        if given.kind != "probabilities":
            spoof = 1.0 / (1.0 + np.exp(-np.clip(spoof, -80.0, 80.0)))
        if given.spoof == "lower":
            spoof = 1.0 - spoof
    # Classes that do not share probabilities may sum to a little more than 1 by rounding; anything else is no score.
    spoof = np.where((spoof >= -_ROUNDING) & (spoof <= 1.0 + _ROUNDING), np.clip(spoof, 0.0, 1.0), np.nan)
    return spoof.astype(np.float32)


_ROUNDING = 1e-3
