"""Features against transformers' own extractors, on the same windows."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchaudio.compliance.kaldi import fbank  # type: ignore[import-untyped]
from transformers import ASTFeatureExtractor, SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from models.errors import CheckpointMismatch, UnsupportedModel
from models.features.ast import AstFeatures
from models.features.engine import features_of
from models.features.reading import READERS, Features
from models.features.seamless import SeamlessFeatures
from models.features.whisper import WhisperFeatures
from tests.models.checkpoints import windows

CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (ASTFeatureExtractor, {}, {}),
    (ASTFeatureExtractor, {"max_length": 256, "num_mel_bins": 64}, {"max_length": 256, "num_mel_bins": 64}),
    (ASTFeatureExtractor, {"do_normalize": False}, {}),
    (ASTFeatureExtractor, {"mean": -7.1, "std": 3.3}, {}),
    (WhisperFeatureExtractor, {"chunk_length": 30}, {}),
    (WhisperFeatureExtractor, {"chunk_length": 3}, {"max_source_positions": 150}),
    (WhisperFeatureExtractor, {"feature_size": 128}, {"num_mel_bins": 128}),
    (WhisperFeatureExtractor, {"chunk_length": 4}, {"max_source_positions": 200}),
    (SeamlessM4TFeatureExtractor, {}, {}),
    (SeamlessM4TFeatureExtractor, {"num_mel_bins": 40}, {"feature_projection_input_dim": 80}),
]  # fmt: skip

AST = AstFeatures.read({}, {})


def theirs(extractor: Any, window: NDArray[np.int16]) -> NDArray[np.float32]:
    """Features of transformers, without what they mark as padding."""
    found = extractor(window.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="np")
    values: NDArray[np.float32] = found[extractor.model_input_names[0]][0]
    if isinstance(extractor, SeamlessM4TFeatureExtractor):
        values = values[found["attention_mask"][0] == 1]
    return values


@pytest.mark.parametrize(("extractor_class", "settings", "config"), CASES)
@pytest.mark.parametrize("samples", [64_000, 63_999, 48_000, 12_345, 720])
def test_features_are_those_of_transformers(
    extractor_class: Any, settings: dict[str, Any], config: dict[str, Any], samples: int
) -> None:
    extractor = extractor_class(**settings)
    features = READERS[extractor_class.__name__](extractor.to_dict(), config)
    items = windows(samples) if samples == 64_000 else windows(samples)[1:3]
    got = features_of(np.stack(items), features)
    assert got.dtype == np.float32
    for ours, window in zip(got, items, strict=True):
        expected = theirs(extractor, window)
        assert ours.shape == expected.shape
        difference = np.abs(ours - expected)
        if isinstance(features, AstFeatures):
            # torchaudio, which AST's extractor uses, computes in fp32: of a chirp, some near its floor are off.
            difference *= features.spread / AST.spread
            assert difference.max() < 3e-3
            assert (difference > 1e-3).mean() < 1e-4
        else:
            assert difference.max() < 1e-3


def test_filter_banks_are_those_of_torchaudio_in_fp64() -> None:
    features = AstFeatures(128, 1024, 0.0, 1.0)
    for window, ours in zip(windows(), features_of(np.stack(windows()), features), strict=True):
        samples = torch.from_numpy(window / 32768.0)[None]
        expected = fbank(samples, sample_frequency=16_000, window_type="hanning", num_mel_bins=128).numpy()
        np.testing.assert_allclose(ours[: len(expected)], expected, atol=1e-3)
        assert not ours[len(expected) :].any()


@pytest.mark.parametrize(("extractor_class", "settings", "config"), CASES)
def test_the_shortest_window(extractor_class: Any, settings: dict[str, Any], config: dict[str, Any]) -> None:
    extractor = extractor_class(**settings)
    features = READERS[extractor_class.__name__](extractor.to_dict(), config)
    for window in (windows(features.min_samples)[0], np.zeros(features.min_samples, np.int16)):
        got = features_of(window[np.newaxis], features)
        assert np.isfinite(got).all()
        assert [size for size in features.shape if size > 0] == [
            got.shape[1 + axis] for axis, size in enumerate(features.shape) if size > 0
        ]
        np.testing.assert_allclose(got[0], theirs(extractor, window), atol=1e-3)


def test_what_the_model_takes_at_most_is_all_that_is_heard() -> None:
    for features in (AstFeatures(128, 256, 0.0, 1.0), WhisperFeatures(80, 48_000, 400, 160)):
        long = windows(64_000)[0]
        assert features.most_samples is not None
        cut = features_of(long[np.newaxis, : features.most_samples], features)
        np.testing.assert_array_equal(features_of(long[np.newaxis], features), cut)
        changed = long.copy()
        changed[features.most_samples - 150 :] = 0
        assert (features_of(changed[np.newaxis], features) != cut).any()


@pytest.mark.parametrize(
    ("name", "settings", "config", "error", "sentence"),
    [
        ("WhisperFeatureExtractor", {"dither": 0.1}, {}, UnsupportedModel, "dither"),
        ("WhisperFeatureExtractor", {"chunk_length": 10}, {}, CheckpointMismatch, "1000 frames of 80"),
        ("WhisperFeatureExtractor", {"feature_size": 128}, {}, CheckpointMismatch, "3000 frames of 128"),
        ("WhisperFeatureExtractor", {"hop_length": 0}, {}, UnsupportedModel, "hop_length is 0"),
        ("WhisperFeatureExtractor", {"chunk_length": 10**12}, {}, UnsupportedModel, "chunk_length is 1000000000000"),
        ("ASTFeatureExtractor", {"num_mel_bins": None}, {}, UnsupportedModel, "num_mel_bins is None"),
        ("ASTFeatureExtractor", {"max_length": 512}, {}, CheckpointMismatch, "512 frames of 128"),
        ("ASTFeatureExtractor", {"std": 0}, {}, UnsupportedModel, "std is 0"),
        ("ASTFeatureExtractor", {"mean": float("nan")}, {}, UnsupportedModel, "mean is nan"),
        ("SeamlessM4TFeatureExtractor", {"stride": 4}, {}, UnsupportedModel, "stride is 4"),
        ("SeamlessM4TFeatureExtractor", {"num_mel_bins": 40}, {}, CheckpointMismatch, "80 values"),
        ("SeamlessM4TFeatureExtractor", {"stride": "2"}, {}, UnsupportedModel, "stride is '2'"),
    ],
)
def test_files_that_cannot_be_are_refused(
    name: str, settings: dict[str, Any], config: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        READERS[name](settings, config)


def test_every_window_of_int16_has_finite_features() -> None:
    every: list[Features] = [AstFeatures(128, 400, -4.0, 9.0), WhisperFeatures(80, 64_000, 400, 160)]
    loud = np.where(np.arange(64_000) // 50 % 2, 32767, -32768).astype(np.int16)
    for features in [*every, SeamlessFeatures(80)]:
        odd = np.stack([np.zeros(64_000, np.int16), np.full(64_000, -32768, np.int16), loud])
        assert np.isfinite(features_of(odd, features)).all()
