"""The face detector: prepared RGB photos in, P(fake) out. DINOv2 first; other image classifiers load the same way."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, read_calibration
from models.catalog import find_model
from models.checkpoint import classes_are_independent, fingerprint, load_classifier, read_checkpoint
from models.detector import Detector, model_info
from models.engine import Engine, EngineModel
from models.engines import open_engine
from models.errors import UnsupportedModel
from models.info import ImageGeometry, ModelInfo
from models.labels import spoof_rule
from models.options import LoadOptions
from models.preprocessing import image_preparation

if TYPE_CHECKING:
    from models.graph import SpoofGraph

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
            reference: `bundled`, a folder, a hub id, or `bento:<tag>`.
            options: engine, precision, folders.

        Raises:
            ModelError: its subclass and message name the cause and the remedy.
        """
        files = find_model(reference, "face", options.models_dir, offline=options.offline)
        if files.is_pth:
            raise UnsupportedModel(
                f"{reference!r} is a .pth file, which only voice models may be; give a folder or hub id"
            )
        checkpoint = read_checkpoint(files.path)
        preparation = image_preparation(checkpoint.processor)
        geometry = preparation.geometry
        labels = checkpoint.id2label
        rule = spoof_rule(labels, options.spoof_label, setting=_SETTING)
        rule = replace(rule, independent=classes_are_independent(checkpoint))
        version = fingerprint(
            checkpoint.weights, {"config": checkpoint.config, "processor": checkpoint.processor}, rule
        )
        calibration = read_calibration(files.path, version) if options.calibrated else None

        def build() -> "SpoofGraph":
            from models.graph import PrepareImage, SpoofGraph

            model = load_classifier(checkpoint, "face")
            return SpoofGraph(model, PrepareImage(preparation.rescale, preparation.mean, preparation.std), rule)

        def probe(count: int, _: int) -> NDArray[np.uint8]:
            shape = (count, geometry.height, geometry.width, 3)
            return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

        engine = open_engine(
            EngineModel(
                name=files.name,
                version=version,
                build=build,
                probe=probe,
                sizes=(geometry.height,),
                input_shape=(-1, geometry.height, geometry.width, 3),
                task="face",
            ),
            options,
        )
        info = model_info(
            files,
            engine,
            calibration,
            task="face",
            version=version,
            architecture=str((checkpoint.config.get("architectures") or [checkpoint.model_type])[0]),
            labels=tuple(labels[index] for index in range(len(labels))),
            rule=rule,
        )
        info = replace(info, geometry=geometry)
        return cls(engine, info, geometry, calibration)

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
