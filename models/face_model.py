"""The face detector: prepared RGB photos in, P(fake) out. DINOv2 first; other image classifiers load the same way."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, read_calibration
from models.catalog import ModelFiles, find_model
from models.checkpoint import classes_are_independent, fingerprint, read_checkpoint, weight_count
from models.classifier import load_classifier
from models.converted import ConvertedSource
from models.detector import Detector, model_info
from models.engine import Engine, EngineModel
from models.engines import open_engine
from models.errors import UnsupportedModel
from models.info import ImageGeometry, ModelInfo
from models.labels import spoof_rule
from models.manifest_fields import PictureInput
from models.options import LoadOptions
from models.preprocessing import image_preparation
from models.source import ModelSource

if TYPE_CHECKING:
    from models.graph import SpoofGraph
    from models.onnx_model import OnnxModel

_SETTING = "BONAFIDE_FACE_SPOOF_LABEL"


class FaceSpoofModel(Detector):
    """A loaded face model. Make one with `load`.

    Attributes:
        info: what it is and how it runs; `info.geometry` is the preparation of a photo for `score`.
    """

    def __init__(
        self, engine: Engine, info: ModelInfo, geometry: ImageGeometry, calibration: Calibration | None = None
    ) -> None:
        super().__init__(engine, info, calibration)
        self._shape = (geometry.height, geometry.width, 3)

    @classmethod
    def load(cls, reference: str, options: LoadOptions) -> "FaceSpoofModel":
        """Loads a model and warms it up; the first `score` is as fast as the next.

        Args:
            reference: `bundled`, a folder (of a checkpoint, of a converted model, or of an ONNX model with its
                manifest), a hub id, or `bento:<tag>`.
            options: engine, precision, folders.

        Raises:
            ModelError: its subclass and message name the cause and the remedy.
        """
        return cls.open(find_model(reference, "face", options.models_dir, offline=options.offline), options)

    @classmethod
    def open(cls, files: ModelFiles, options: LoadOptions) -> "FaceSpoofModel":
        """As `load`, of files that were found.

        Raises:
            ModelError: see `load`; an ensemble is no single model.
        """
        files.require_single()
        if files.is_onnx:
            from models.onnx_model import open_onnx

            return cls._of_onnx(open_onnx(files, "face", options, setting=_SETTING))
        source = face_source(files, options)
        calibration = read_calibration(files.path, source.version) if options.calibrated else None
        engine = open_engine(face_engine_model(files, source), options)
        info = model_info(
            files,
            engine,
            calibration,
            task="face",
            version=source.version,
            architecture=source.architecture,
            labels=source.labels,
            rule=source.rule,
        )
        info = replace(info, geometry=source.geometry)
        return cls(engine, info, source.geometry, calibration)

    @classmethod
    def _of_onnx(cls, model: "OnnxModel") -> "FaceSpoofModel":
        given = model.manifest.input
        assert isinstance(given, PictureInput)  # noqa: S101  # as its task says
        geometry = given.geometry
        return cls(model.engine, replace(model.info, geometry=geometry), geometry, model.calibration)

    def score(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """P(fake) of each photo, float32 `(n,)` in 0..1; NaN for one of a wrong dtype or shape; others are unaffected.

        Args:
            images: uint8 arrays `(height, width, 3)`, RGB, resized and cropped as in `info.geometry`.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        return self._score(images, self._fits)

    def _fits(self, image: NDArray[Any]) -> bool:
        return image.dtype == np.uint8 and image.shape == self._shape


class FaceSource(ModelSource, Protocol):
    """The source of a face model.

    Attributes:
        geometry: preparation of a photo.
    """

    geometry: ImageGeometry


def face_source(files: ModelFiles, options: LoadOptions) -> FaceSource:
    """Reads the description of a model.

    Raises:
        ModelError: it is no face model that can be served.
    """
    if files.is_pth:
        raise UnsupportedModel(
            f"{files.reference!r} is a .pth file, which only voice models may be: give a folder or hub id, or export "
            "it to ONNX (docs/models.md)"
        )
    return _ConvertedFace(files, options) if files.is_converted else _FolderFace(files, options)


def face_engine_model(files: ModelFiles, source: FaceSource) -> EngineModel:
    """What an engine needs of it."""
    shape = (source.geometry.height, source.geometry.width, 3)

    def probe(count: int, _: int) -> NDArray[np.uint8]:
        return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)

    return EngineModel(
        name=files.name,
        version=source.version,
        build=source.build,
        probe=probe,
        sizes=(source.geometry.height,),
        input_shape=(-1, *shape),
        task="face",
        converted=source.converted,
    )


class _FolderFace:
    """A transformers folder."""

    converted: Path | None = None

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        self._checkpoint = checkpoint = read_checkpoint(files.path, files.base)
        self._preparation = image_preparation(checkpoint.processor)
        self.geometry = self._preparation.geometry
        labels = checkpoint.id2label
        rule = spoof_rule(labels, options.spoof_label, setting=_SETTING)
        self.rule = replace(rule, independent=classes_are_independent(checkpoint))
        self.labels = tuple(labels[index] for index in range(len(labels)))
        self.architecture = checkpoint.architecture
        self.version = fingerprint(checkpoint.files, checkpoint.facts, self.rule)

    def build(self) -> "SpoofGraph":
        from models.graph import PrepareImage, SpoofGraph, fit_to_size

        model = load_classifier(self._checkpoint, "face")
        fit_to_size(model, self.geometry.height, self.geometry.width)
        prepare = PrepareImage(*self._preparation.arithmetic, bgr=self._preparation.bgr)
        return SpoofGraph(model, prepare, self.rule)

    def parameters(self) -> int:
        return weight_count(self._checkpoint.files)


class _ConvertedFace(ConvertedSource):
    """A folder that `models.convert` wrote."""

    def __init__(self, files: ModelFiles, options: LoadOptions) -> None:
        super().__init__(files.path, "face", options.spoof_label, _SETTING)
        assert self.found.geometry is not None  # noqa: S101  # it was looked at
        self.geometry = self.found.geometry
