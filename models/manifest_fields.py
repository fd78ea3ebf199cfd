"""What `bonafide.json` says of an ONNX model: everything that decides a score, as typed fields. No I/O.

Nothing that could invert or shift a score has a default. Which values mean spoof least of all.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.info import MAX_FACE_FACTOR, ImageGeometry
from models.labels import contradicted

Short = Literal["repeat", "zero_pad", "as_is"]
Last = Literal["reach_back", "repeat", "zero_pad", "as_is"]
_MOST_SAMPLES = 960_000
"""A minute at 16 kHz."""
_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
"""Pillow's codes."""
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_. /+-]*$")]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
_Spread = Annotated[float, Field(allow_inf_nan=False, ge=1e-6, le=1e6)]
_Pixels = Annotated[int, Field(ge=8, le=1024)]


class Part(BaseModel):
    """Part of a manifest: unknown fields and other types are refused."""

    # Built when a manifest is read: most models have none.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class SampleWindow(Part):
    """How samples at 16 kHz become what the model is given at once."""

    samples: int = Field(ge=400, le=_MOST_SAMPLES)
    """Length of the model's window."""
    hop: int | None = Field(None, ge=160, le=_MOST_SAMPLES)
    """Samples between the starts of two windows in one chunk of 4 s, if the window is shorter; none: they follow one
    another. The chunk's score is the mean of theirs."""
    short: Short
    """What is done with less than a window: repeated from its start, followed by zeros, or given as it is."""
    last: Last = "reach_back"
    """What is done with samples that are left after the last whole window of a chunk: that window reaches back to be
    whole, or one of the rules for short ones."""
    min_samples: int = Field(400, ge=1, le=_MOST_SAMPLES)
    """Less than this is not judged: with `last` as_is, what is left of a chunk counts only from this length on."""

    @field_validator("short", "last", mode="before")
    @classmethod
    def _not_random(cls, value: Any) -> Any:
        if isinstance(value, str) and "random" in value:
            raise ValueError("a random crop would score the same recording otherwise each time; take repeat or as_is")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.hop is not None and self.hop > self.samples:
            raise ValueError("hop is longer than the window: samples between two windows would not be judged")
        if self.min_samples > self.samples:
            raise ValueError("min_samples is more than a window")
        return self


class SamplesInput(Part):
    """Raw samples, float32 `(n, samples)` or `(n, 1, samples)`, 16 kHz mono."""

    kind: Literal["samples"]
    name: Text
    """Name of the graph's input."""
    window: SampleWindow
    scale: Literal["int16", "unit", "z_score"]
    """int16: -32768..32767 as they are. unit: divided by 32768. z_score: zero mean and unit variance in each window,
    after unit and pre-emphasis."""
    pre_emphasis: float | None = Field(None, gt=0, lt=1)
    """From each sample this share of the one before it is subtracted."""


class Resize(Part):
    """To a width and a height, or to a length of the shorter edge; both before the crop at the centre."""

    width: _Pixels | None = None
    height: _Pixels | None = None
    shortest_edge: _Pixels | None = None
    filter: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    antialias: bool
    """Whether the filter widens when a picture is made smaller, as in Pillow; OpenCV's `resize` does not."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        size = (self.width is not None, self.height is not None)
        if size[0] != size[1] or size[0] == (self.shortest_edge is not None):
            raise ValueError("give width and height, or shortest_edge alone")
        if not self.antialias and self.filter != "bilinear":
            raise ValueError("without antialias, filter can be bilinear only")
        return self


class Crop(Part):
    """Cut at the centre."""

    width: _Pixels
    height: _Pixels


class PictureInput(Part):
    """A picture, float32 `(n, 3, height, width)` or `(n, height, width, 3)`."""

    kind: Literal["rgb", "bgr"]
    """Order of the colour channels."""
    name: Text
    """Name of the graph's input."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    face_factor: float | None = Field(ge=1.0, le=MAX_FACE_FACTOR)
    """The largest face's box times this, about its centre, shrunk and shifted to stay inside the picture, is what the
    model is given; null: the whole picture."""
    resize: Resize
    crop: Crop | None = None
    scale: Literal["bytes", "unit"]
    """bytes: 0..255. unit: 0..1. Mean and deviation are on this scale."""
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    """Of each channel, in the order of `kind`."""
    std: tuple[_Spread, _Spread, _Spread] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.crop is None and self.resize.shortest_edge is not None:
            raise ValueError("resize.shortest_edge without a crop leads to no fixed size")
        least = (self.resize.width or self.resize.shortest_edge, self.resize.height or self.resize.shortest_edge)
        if self.crop is not None and (self.crop.width > (least[0] or 0) or self.crop.height > (least[1] or 0)):
            raise ValueError("crop is larger than the picture after resize")
        return self

    @property
    def geometry(self) -> ImageGeometry:
        """How a photo is prepared before the arithmetic."""
        resize, crop = self.resize, self.crop
        return ImageGeometry(
            resize_shortest_edge=resize.shortest_edge,
            resize_height=resize.height,
            resize_width=resize.width,
            crop_height=crop.height if crop else None,
            crop_width=crop.width if crop else None,
            resample=_FILTERS[resize.filter],
            antialias=resize.antialias,
            face_factor=self.face_factor,
        )

    @property
    def height(self) -> int:
        """Of the model's input, in pixels."""
        return self.crop.height if self.crop else self.resize.height or 0

    @property
    def width(self) -> int:
        """Of the model's input, in pixels."""
        return self.crop.width if self.crop else self.resize.width or 0


class Output(Part):
    """What the model computes, float32 `(n,)`, `(n, 1)` or `(n, classes)`, and what of it means spoof."""

    name: Text
    """Name of the graph's output."""
    kind: Literal["logits", "probabilities", "log_likelihood_ratio"]
    """logits: softmax over classes, or the sigmoid of a single one. probabilities: of classes that share them, or a
    single one. log_likelihood_ratio: a single value, whose sigmoid is read."""
    spoof: int | tuple[int, ...] | Literal["higher", "lower"]
    """Index or indices of the classes that mean spoof (or fake); of a single value, whether higher or lower ones do."""
    labels: tuple[Text, ...] | None = None
    """Names of the classes, for display, and to be checked against `spoof`."""

    @field_validator("spoof", mode="before")
    @classmethod
    def _a_form(cls, value: Any) -> Any:
        indices = value if isinstance(value, list | tuple) else [value]
        if value in ("higher", "lower") or (indices and all(type(index) is int for index in indices)):
            return tuple(value) if isinstance(value, list) else value
        raise ValueError('must be an index, a list of indices, "higher" or "lower"')

    @property
    def classes(self) -> tuple[int, ...]:
        """Indices that mean spoof; none of a single value."""
        if isinstance(self.spoof, str):
            return ()
        return (self.spoof,) if isinstance(self.spoof, int) else self.spoof

    @model_validator(mode="after")
    def _decided(self) -> Self:
        if self.kind == "log_likelihood_ratio" and self.classes:
            raise ValueError('spoof must be "higher" or "lower" for a log-likelihood ratio')
        if len(set(self.classes)) < len(self.classes) or any(index < 0 for index in self.classes):
            raise ValueError("spoof names an index twice, or one below 0")
        if self.labels is not None:
            if not self.classes:
                raise ValueError("labels are names of classes, and spoof says there is a single value")
            if max(self.classes) >= len(self.labels) or len(self.classes) == len(self.labels):
                raise ValueError("spoof must name some of the labels' indices, and not all of them")
            if (wrong := contradicted(self.labels, self.classes)) is not None:
                raise ValueError(f"spoof contradicts labels: {wrong}")
        return self


class ManifestCalibration(Part):
    """As `calibration.json` beside a model has it, which comes first: P(spoof) is sigmoid(scale * logit + offset)."""

    scale: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    offset: Finite
    threshold: float = Field(ge=0, le=1)


class Manifest(Part):
    """`bonafide.json`, beside `model.onnx`."""

    format: Literal[1] = 1
    """Version of these fields."""
    task: Literal["voice", "face"]
    name: Name
    """In every answer."""
    version: Name
    """Of the published weights; in every answer behind the name."""
    licence: Text
    """Under which the weights are used; an SPDX name where there is one."""
    input: Annotated[SamplesInput | PictureInput, Field(discriminator="kind")]
    output: Output
    calibration: ManifestCalibration | None = None

    @model_validator(mode="after")
    def _of_its_task(self) -> Self:
        if (self.task == "voice") != isinstance(self.input, SamplesInput):
            raise ValueError("input.kind is samples for voices, and rgb or bgr for faces")
        return self
