"""The voice detector: windows of 16 kHz speech in, P(spoof) out. WavLM first; its relatives load the same way.

AST, Whisper and wav2vec2-BERT take features (`models.features`), which are computed in front of the engine.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, read_calibration
from models.catalog import ModelFiles, find_model
from models.checkpoint import classes_are_independent, fingerprint, read_checkpoint, weight_count
from models.classifier import load_classifier
from models.converted import ConvertedSource, VoiceInput
from models.detector import Detector, model_info
from models.engine import Engine, EngineModel
from models.engines import open_engine
from models.errors import UnsupportedModel
from models.features.ast import AstFeatures
from models.features.engine import FeatureEngine, features_of
from models.features.seamless import SeamlessFeatures
from models.features.settings import whole
from models.features.whisper import WhisperFeatures
from models.info import ModelInfo
from models.labels import SpoofRule, spoof_rule
from models.manifest_fields import SamplesInput, Short
from models.options import LoadOptions
from models.preprocessing import SAMPLE_RATE, voice_preparation
from models.scoring import score_each
from models.source import ModelSource
from models.window_rule import WindowRule

if TYPE_CHECKING:
    from models.graph import SpoofGraph
    from models.onnx_model import OnnxModel

WINDOW_SAMPLES = 64_000
"""A full window: 4 seconds."""
_MAX_SAMPLES = 60 * SAMPLE_RATE
"""Attention grows with the square of the length, so an uncut recording is refused."""
_SHORT_SAMPLES = 16_000
_SEW_SQUEEZES = 2
"""Frames that become one in published models."""
_SETTING = "BONAFIDE_VOICE_SPOOF_LABEL"
_RAW_SAMPLE_TYPES = frozenset(
    {"wavlm", "wav2vec2", "hubert", "unispeech", "unispeech-sat", "data2vec-audio", "sew", "wav2vec2-conformer"}
)
_FEATURES_OF: Mapping[str, type] = {
    "audio-spectrogram-transformer": AstFeatures,
    "wav2vec2-bert": SeamlessFeatures,
    "whisper": WhisperFeatures,
}
"""Families that take features, and which."""

# The values of microsoft/wavlm-base as published on the hub, as far as they determine the architecture.
WAVLM_BASE: Mapping[str, Any] = {
    "model_type": "wavlm",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": [512, 512, 512, 512, 512, 512, 512],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "num_buckets": 320,
    "max_bucket_distance": 800,
    "do_stable_layer_norm": False,
    "add_adapter": False,
}


class VoiceSpoofModel(Detector):
    """A loaded voice model. Make one with `load`.

    Attributes:
        info: what it is and how it runs.
    """

    def __init__(
        self,
        engine: Engine,
        info: ModelInfo,
        calibration: Calibration | None = None,
        *,
        rule: WindowRule,
    ) -> None:
        super().__init__(engine, info, calibration)
        self._rule = rule

    @classmethod
    def load(cls, reference: str, options: LoadOptions) -> "VoiceSpoofModel":
        """Loads a model and warms it up; the first `score` is as fast as the next.

        Args:
            reference: `bundled`, a folder (of a checkpoint, of a converted model, or of an ONNX model with its
                manifest), a `.pth` file, a hub id, or `bento:<tag>`.
            options: engine, precision, folders.

        Raises:
            ModelError: its subclass and message name the cause and the remedy.
        """
        return cls.open(find_model(reference, "voice", options.models_dir, offline=options.offline), options)

    @classmethod
    def open(cls, files: ModelFiles, options: LoadOptions) -> "VoiceSpoofModel":
        """As `load`, of files that were found.

        Raises:
            ModelError: see `load`; an ensemble is no single model.
        """
        files.require_single()
        if files.is_onnx:
            from models.onnx_model import open_onnx

            return cls._of_onnx(open_onnx(files, "voice", options, setting=_SETTING))
        source = voice_source(files, options)
        calibration = read_calibration(files.path, source.version) if options.calibrated else None
        engine: Engine = open_engine(voice_engine_model(files, source), options)
        if (features := source.input.features) is not None:
            engine = FeatureEngine(engine, features)
        info = model_info(
            files,
            engine,
            calibration,
            task="voice",
            version=source.version,
            architecture=source.architecture,
            labels=source.labels,
            rule=source.rule,
        )
        least = source.input.min_samples
        info = replace(info, sample_rate=SAMPLE_RATE, window_samples=WINDOW_SAMPLES, min_samples=least)
        return cls(engine, info, calibration, rule=_rule(source.input))

    @classmethod
    def _of_onnx(cls, model: "OnnxModel") -> "VoiceSpoofModel":
        given = model.manifest.input
        assert isinstance(given, SamplesInput)  # noqa: S101  # as its task says
        window = given.window
        # A model that takes more is given what lies before a full window.
        most = max(WINDOW_SAMPLES, window.samples)
        info = replace(model.info, sample_rate=SAMPLE_RATE, window_samples=most, min_samples=window.min_samples)
        rule = WindowRule(window.samples, window.hop or window.samples, window.short, window.last)
        return cls(model.engine, info, model.calibration, rule=rule)

    def score(self, windows: list[NDArray[np.int16]]) -> NDArray[np.float32]:
        """P(spoof) of each window, float32 `(n,)` in 0..1.

        A window that cannot be scored (not int16, not one-dimensional, too short for a single frame, longer than a
        minute) gives NaN and changes no other window's score.

        Args:
            windows: int16 arrays `(samples,)`, 16 kHz mono; lengths may differ.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        least = self.info.min_samples
        parts = [self._rule.parts(window, least) if self._usable(window) else [window] for window in windows]
        scores = score_each(self._engine, [part for each in parts for part in each], self._fits)
        ends = np.cumsum([len(each) for each in parts])
        means = [scores[end - len(each) : end].mean() for end, each in zip(ends, parts, strict=True)]
        return self._calibrated(np.array(means, np.float32))

    def _usable(self, window: Any) -> bool:
        return isinstance(window, np.ndarray) and self._fits(window)

    def _fits(self, window: NDArray[Any]) -> bool:
        lengths = range(self.info.min_samples, _MAX_SAMPLES + 1)
        return window.dtype == np.int16 and window.ndim == 1 and window.shape[0] in lengths


class VoiceSource(ModelSource, Protocol):
    """The source of a voice model.

    Attributes:
        input: what is done to windows before the graph.
    """

    input: VoiceInput


def voice_source(files: ModelFiles, options: LoadOptions) -> VoiceSource:
    """Reads the description of a model.

    Raises:
        ModelError: it is no voice model that can be served.
    """
    if files.is_converted:
        return _ConvertedVoice(files, options)
    return _PthVoice(files, options) if files.is_pth else _FolderVoice(files, options)


def voice_engine_model(files: ModelFiles, source: VoiceSource) -> EngineModel:
    """What an engine needs of it."""
    features = source.input.features

    def probe(count: int, samples: int) -> NDArray[Any]:
        noise = _probe(count, samples)
        return noise if features is None else features_of(noise, features)

    return EngineModel(
        name=files.name,
        version=source.version,
        build=source.build,
        probe=probe,
        sizes=(WINDOW_SAMPLES, _SHORT_SAMPLES),
        input_shape=(-1, -1) if features is None else (-1, *features.shape),
        task="voice",
        converted=source.converted,
    )


class _FolderVoice:
    """A transformers folder."""

    converted: Path | None = None

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        self._checkpoint = read_checkpoint(files.path, files.base)
        self.config = self._checkpoint.config
        kind = self._checkpoint.model_type
        if kind not in _RAW_SAMPLE_TYPES and kind not in _FEATURES_OF:
            raise UnsupportedModel(
                f"{files.reference!r} is a {kind or 'nameless'!s} model, not one that classifies speech samples; those "
                f"are: {', '.join(sorted(_RAW_SAMPLE_TYPES | set(_FEATURES_OF)))}. Way: export it to ONNX "
                "(docs/models.md)"
            )
        self._preparation = preparation = voice_preparation(self._checkpoint.processor, self.config)
        if type(preparation.features) is not _FEATURES_OF.get(kind, type(None)):
            raise UnsupportedModel(
                f"{files.reference!r} is a {kind} model, and its preprocessor_config.json is of another family "
                f"({self._checkpoint.processor.get('feature_extractor_type')}): copy that of the checkpoint that it "
                "was fine-tuned from"
            )
        features = preparation.features
        min_samples = _receptive_field(self.config) if features is None else features.min_samples
        self.input = VoiceInput(min_samples, preparation.repeat_short, features)
        labels = self._checkpoint.id2label
        rule = spoof_rule(labels, options.spoof_label, setting=_SETTING)
        self.rule = replace(rule, independent=classes_are_independent(self._checkpoint))
        self.labels = tuple(labels[index] for index in range(len(labels)))
        self.architecture = self._checkpoint.architecture
        self.version = fingerprint(self._checkpoint.files, self._checkpoint.facts, self.rule)

    def build(self) -> "SpoofGraph":
        from torch import nn

        from models.graph import PrepareVoice, SpoofGraph

        model = load_classifier(self._checkpoint, "voice")
        raw = self._preparation.features is None
        prepare = PrepareVoice(self._preparation.normalize) if raw else nn.Identity()
        return SpoofGraph(model, prepare, self.rule)

    def parameters(self) -> int:
        return weight_count(self._checkpoint.files)


class _PthVoice:
    """A `.pth` file of the pooled WavLM-base; its input is not normalised, its only logit means spoof."""

    config = WAVLM_BASE
    architecture = "WavLM-base, pooled to 128 steps"
    labels: tuple[str, ...] = ()
    rule = SpoofRule(0)
    converted: Path | None = None

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        if options.spoof_label:
            raise UnsupportedModel(f"{_SETTING} is set, but a .pth file has a single logit that means spoof; unset it")
        self._path = files.path
        self.input = VoiceInput(_receptive_field(self.config), repeat_short=True)
        self.version = fingerprint([files.path], {"config": dict(self.config), "pooled": True}, self.rule)

    def build(self) -> "SpoofGraph":
        from models.graph import PrepareVoice, SpoofGraph
        from models.pooled_wavlm import load_pooled_wavlm

        model = load_pooled_wavlm(self._path, self.config)
        return SpoofGraph(model, PrepareVoice(normalize=False), self.rule)

    def parameters(self) -> int:
        return weight_count([self._path])


class _ConvertedVoice(ConvertedSource):
    """A folder that `models.convert` wrote."""

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        super().__init__(files.path, "voice", options.spoof_label, _SETTING)
        assert self.found.voice is not None  # noqa: S101  # it was looked at
        self.input = self.found.voice


def _rule(given: VoiceInput) -> WindowRule:
    """Windows of 4 s; longer ones are given as they are, but cut where the model would not hear all of them."""
    short: Short = "repeat" if given.repeat_short else "as_is"
    if given.features is None or (most := given.features.most_samples) is None:
        return WindowRule(WINDOW_SAMPLES, None, short)
    samples = min(WINDOW_SAMPLES, most)
    return WindowRule(samples, samples, short)


def _receptive_field(config: Mapping[str, Any]) -> int:
    """Samples that the convolutions need for a single frame, or SEW for those that it makes one of.

    Raises:
        UnsupportedModel: they are not described.
    """
    samples = whole(config, "squeeze_factor", _SEW_SQUEEZES) if config.get("model_type") == "sew" else 1
    kernels, strides = (config.get(name) or WAVLM_BASE[name] for name in ("conv_kernel", "conv_stride"))
    listed = all(isinstance(each, list) and all(type(size) is int for size in each) for each in (kernels, strides))
    if not listed or len(kernels) != len(strides):
        raise UnsupportedModel(
            f"conv_kernel {kernels!r:.100} and conv_stride {strides!r:.100} in config.json are no two lists of "
            "numbers of one length: get it again"
        )
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


def _probe(count: int, samples: int) -> NDArray[np.int16]:
    """Noise of speech-like level."""
    return np.random.default_rng(0).normal(0.0, 3000.0, (count, samples)).clip(-32768, 32767).astype(np.int16)
