"""What photos are read by, in the service's process as in those that decode."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from bonafide.photo.image import ImageLimits
from bonafide.photo.quality import QualityLimits

if TYPE_CHECKING:  # decoding processes have no settings
    from bonafide.settings import Settings


@dataclass(frozen=True)
class PhotoRules:
    """All that decides what is read from a photo, besides the photo and the model.

    Attributes:
        limits: of what is read.
        quality: limits beyond which a verdict should not be relied on.
        crop_margin: the largest face is judged, with so much of its longer side around it; None: the whole picture.
    """

    limits: ImageLimits
    quality: QualityLimits
    crop_margin: float | None

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        """The rules that the settings name."""
        return cls(
            limits=ImageLimits.from_settings(settings),
            quality=QualityLimits.from_settings(settings),
            crop_margin=settings.face_crop_margin if settings.face_crop else None,
        )

    @classmethod
    def from_dict(cls, rules: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(ImageLimits(**rules["limits"]), QualityLimits(**rules["quality"]), rules["crop_margin"])

    def to_dict(self) -> dict[str, Any]:
        """For another process, in values that JSON has."""
        return asdict(self)
