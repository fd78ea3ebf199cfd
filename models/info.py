"""What a loaded model tells of itself: plain data that travels as JSON to whoever serves it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Task = Literal["voice", "face"]
EngineName = Literal["torch", "openvino"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class ImageGeometry:
    """What is done to an upright RGB photo, still uint8, before the model sees it: resize, then centre crop.

    Attributes:
        resize_shortest_edge: new length of the shorter side in pixels; the longer side becomes
            `int(edge * longer / shorter)`. None: not resized this way.
        resize_height: new height in pixels, aspect ratio ignored; given together with `resize_width`, or None.
        resize_width: new width in pixels.
        crop_height: height in pixels of the centre crop, whose top is `(height - crop_height) // 2`; None: no crop.
        crop_width: width in pixels of the centre crop, whose left is `(width - crop_width) // 2`.
        resample: Pillow's code of the resampling filter (2 bilinear, 3 bicubic, ...).
    """

    resize_shortest_edge: int | None
    resize_height: int | None
    resize_width: int | None
    crop_height: int | None
    crop_width: int | None
    resample: int

    @property
    def height(self) -> int:
        """Height in pixels of what the model gets."""
        return self.crop_height or self.resize_height or 0

    @property
    def width(self) -> int:
        """Width in pixels of what the model gets."""
        return self.crop_width or self.resize_width or 0


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model.

    Attributes:
        task: what it judges.
        name: what people call it: hub id, folder name, or the bundled model's name.
        version: 12 hex digits over weights, configuration, preprocessing, label mapping and calibration.
        architecture: class that the weights fill, such as `WavLMForSequenceClassification`.
        reference: what was asked for.
        local_path: folder or file that was read.
        demo: whether it is one of the small bundled models.
        labels: the checkpoint's own class names by index; empty for a bare `.pth`.
        spoof_index: class that means spoof; None when spoof is everything but one class.
        engine: what runs it.
        device: where it runs.
        precision: arithmetic it runs in.
        max_batch_size: most items that go through the engine at once.
        geometry: preparation of a photo (face only).
        sample_rate: samples per second that windows must have (voice only).
        window_samples: length of a full window in samples (voice only).
        threshold: a score at or above it means spoof, as fitted on data; None: never fitted.
        calibrated: whether scores are calibrated probabilities.
        speech_version: of what finds speech beside it (voice only); None: nothing does.
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
    engine: EngineName
    device: Device
    precision: Precision
    max_batch_size: int
    geometry: ImageGeometry | None = None
    sample_rate: int | None = None
    window_samples: int | None = None
    threshold: float | None = None
    calibrated: bool = False
    speech_version: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as a dictionary of JSON types."""
        return {**asdict(self), "labels": list(self.labels)}
