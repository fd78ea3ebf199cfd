"""The description of a loaded model: plain data that a runner sends as JSON to the service in front of it.

Imports nothing of this project, so that `models` and `bonafide` share it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from math import prod
from typing import Any, Literal

Task = Literal["voice", "face"]
EngineName = Literal["torch", "openvino"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
Mixed = Literal["mixed"]


MAX_FACE_FACTOR = 10.0
"""By how much a face's box may be enlarged."""

SCORE_BINS = 10
"""Equal bins of 0..1 in which scores are counted."""


def score_bin(score: float) -> int:
    """The bin of a score of 0..1."""
    return min(int(score * SCORE_BINS), SCORE_BINS - 1)


@dataclass(frozen=True)
class ScoreCounts:
    """The calibrated scores of the single windows or photos that a model was calibrated on.

    Attributes:
        bonafide: of bona fide items, a count for each of `SCORE_BINS`.
        spoof: of spoofs.
    """

    bonafide: tuple[int, ...]
    spoof: tuple[int, ...]

    def __post_init__(self) -> None:
        for counts in (self.bonafide, self.spoof):
            if len(counts) != SCORE_BINS or not all(type(count) is int and count >= 0 for count in counts):
                raise ValueError(f"counts of scores are {SCORE_BINS} numbers, 0 or more")
            if not any(counts):
                raise ValueError("a class without scores")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ScoreCounts":
        """Reads what `asdict` gives; unknown names are ignored.

        Raises:
            KeyError: a class is missing.
            TypeError: its counts are no list.
            ValueError: they are no such counts.
        """
        return cls(tuple(values["bonafide"]), tuple(values["spoof"]))


@dataclass(frozen=True)
class ImageGeometry:
    """Preparation of an upright RGB photo, still uint8, for the model: resize, then centre crop.

    Attributes:
        resize_shortest_edge: new length of the shorter side in pixels; the longer side becomes
            `int(edge * longer / shorter)`. None: not resized this way.
        resize_height: new height in pixels, aspect ratio ignored; given together with `resize_width`, or None.
        resize_width: new width in pixels.
        crop_height: height in pixels of the centre crop, whose top is `(height - crop_height) // 2`; None: no crop. A
            smaller photo gets black borders.
        crop_width: width in pixels of the centre crop, whose left is `(width - crop_width) // 2`.
        resample: Pillow's code of the resampling filter (2 bilinear, 3 bicubic, ...).
        antialias: whether the filter widens where a photo is made smaller, as in Pillow; else it reads the nearest
            pixels alone, as OpenCV's `resize` does. False for a bilinear filter only.
        face_factor: the box of the largest face times this is what is prepared, see `photo.preparation.around_face`;
            None: as configured.
        crop_half_to_even: whether the crop's top and left are rounded as torchvision does, halves to the even number,
            rather than down.
    """

    resize_shortest_edge: int | None
    resize_height: int | None
    resize_width: int | None
    crop_height: int | None
    crop_width: int | None
    resample: int
    antialias: bool = True
    face_factor: float | None = None
    crop_half_to_even: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ImageGeometry":
        """Reads its part of `ModelInfo.to_dict`; unknown names are ignored.

        Raises:
            KeyError: a value is missing.
        """
        return cls(**_known(cls, values))

    @property
    def height(self) -> int:
        """Height in pixels of the model's input."""
        return self.crop_height or self.resize_height or 0

    @property
    def width(self) -> int:
        """Width in pixels of the model's input."""
        return self.crop_width or self.resize_width or 0

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels of a photo of this size after the resize, before the crop."""
        if (edge := self.resize_shortest_edge) is not None:
            if width <= height:
                return edge, int(edge * height / width)
            return int(edge * width / height), edge
        if self.resize_width is not None and self.resize_height is not None:
            return self.resize_width, self.resize_height
        return width, height


@dataclass(frozen=True)
class MemberInfo:
    """A member of a loaded ensemble.

    Attributes:
        name: in every answer; no two members have the same.
        version: its own, with its calibration.
        weight: in the rule that is applied.
        engine: what runs it.
        device: where it runs.
        precision: arithmetic it runs in.
    """

    name: str
    version: str
    weight: float
    engine: str
    device: str
    precision: str

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MemberInfo":
        """Reads its part of `ModelInfo.to_dict`; unknown names are ignored.

        Raises:
            KeyError: a value is missing.
        """
        return cls(**_known(cls, values))


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model.

    Attributes:
        task: what it judges.
        name: in every result: hub id, folder name, or the bundled model's name.
        version: 12 hex digits over weights, configuration, preprocessing, label mapping and calibration.
        architecture: class that the weights fill, such as `WavLMForSequenceClassification`.
        reference: as requested.
        local_path: folder or file that was read.
        demo: whether it is one of the small bundled models.
        labels: the checkpoint's own class names by index; empty for a bare `.pth`.
        spoof_index: class that means spoof; None when spoof is everything but one class.
        engine: what runs it; "mixed": its members differ in that.
        device: where it runs; likewise.
        precision: arithmetic it runs in; likewise.
        max_batch_size: most items that go through the engine at once.
        geometry: preparation of a photo (face only).
        sample_rate: samples per second that windows must have (voice only).
        window_samples: length of a full window in samples (voice only); beyond 64,000, the model takes what lies before
            a window of 4 s with it.
        min_samples: length of the shortest window that it takes, in samples (voice only).
        threshold: a score at or above it means spoof, as fitted on data; None: never fitted.
        calibrated: whether scores are calibrated probabilities.
        prior_log_odds: log prior odds of spoof under which they are; None: they are none, or it is not known.
        uncertain: between these two scores nothing is decided, as fitted on data; None: never fitted.
        speech_version: of the speech detector beside it (voice only); None: there is none.
        members: of an ensemble, in the order of their scores; else empty.
        more_geometries: of an ensemble whose members are given different pictures, those besides `geometry`.
        fitted_scores: that its calibration was fitted to; None: they were not kept.
        notice: what its card says to whoever asks for its status; mostly empty.
    """

    task: Task
    name: str
    version: str
    architecture: str
    reference: str
    local_path: str
    demo: bool
    labels: tuple[str, ...]
    spoof_index: int | None
    engine: EngineName | Mixed
    device: Device | Mixed
    precision: Precision | Mixed
    max_batch_size: int
    geometry: ImageGeometry | None = None
    sample_rate: int | None = None
    window_samples: int | None = None
    min_samples: int = 1
    threshold: float | None = None
    calibrated: bool = False
    prior_log_odds: float | None = None
    uncertain: tuple[float, float] | None = None
    speech_version: str | None = None
    members: tuple[MemberInfo, ...] = ()
    more_geometries: tuple[ImageGeometry, ...] = ()
    fitted_scores: ScoreCounts | None = None
    notice: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelInfo":
        """Reads what `to_dict` returned, perhaps in another release: unknown names are ignored.

        Raises:
            KeyError: a value is missing that every release has.
        """
        known = _known(cls, values)
        known["labels"] = tuple(known["labels"])
        if known.get("geometry") is not None:
            known["geometry"] = ImageGeometry.from_dict(known["geometry"])
        if known.get("uncertain") is not None:
            lower, upper = known["uncertain"]
            known["uncertain"] = (lower, upper)
        known["members"] = tuple(map(MemberInfo.from_dict, known.get("members", ())))
        known["more_geometries"] = tuple(map(ImageGeometry.from_dict, known.get("more_geometries", ())))
        if known.get("fitted_scores") is not None:
            known["fitted_scores"] = ScoreCounts.from_dict(known["fitted_scores"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The same as a dictionary of JSON types."""
        values = asdict(self)
        listed = ("labels", "members", "more_geometries", *(("uncertain",) if self.uncertain else ()))
        return values | {name: list(values[name]) for name in listed}

    @property
    def geometries(self) -> tuple[ImageGeometry, ...]:
        """Of the pictures that an item holds; see `picture_shape`."""
        return () if self.geometry is None else (self.geometry, *self.more_geometries)

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """Of an item of a face model, uint8: `(height, width, 3)`; of several pictures `(n,)`, one after the other."""
        shapes = [(each.height, each.width, 3) for each in self.geometries]
        return shapes[0] if len(shapes) == 1 else (sum(map(prod, shapes)),)

    def named(self, scores: Sequence[float]) -> dict[str, float]:
        """The members' scores by their names; none of a single model."""
        return dict(zip((member.name for member in self.members), scores, strict=True))

    @property
    def fingerprint(self) -> str:
        """Identifies everything that a score depends on besides the input; part of cache keys."""
        speech = f"-{self.speech_version}" if self.speech_version else ""
        members = "".join(f"+{each.engine}-{each.device}-{each.precision}" for each in self.members)
        return f"{self.version}-{self.engine}-{self.device}-{self.precision}{members}{speech}"


def _known(cls: type[ImageGeometry] | type[MemberInfo] | type[ModelInfo], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a class's fields; KeyError if one without a default is missing."""
    return {field.name: values[field.name] for field in fields(cls) if field.default is MISSING or field.name in values}
