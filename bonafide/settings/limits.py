"""Limits on untrusted input."""

from pydantic import Field

from bonafide.settings.group import MIB, SettingsGroup
from models.cpus import usable_cpus


class LimitSettings(SettingsGroup):
    """What a recording or photo may hold, and how many are decoded at a time."""

    max_audio_bytes: int = Field(128 * MIB, ge=1)
    """Largest recording, uploaded or stored."""
    max_audio_seconds: float = Field(4 * 3600.0, gt=0.0)
    """Longest recording."""
    max_audio_channels: int = Field(16, ge=1)
    """Most channels of a recording."""
    max_sample_rate: int = Field(192_000, ge=8_000)
    """Highest sample rate of a recording, in Hz."""
    max_image_bytes: int = Field(16 * MIB, ge=1)
    """Largest photo."""
    max_image_pixels: int = Field(50_000_000, ge=1)
    """Most pixels of a photo, checked before decoding."""
    max_inflight_bytes: int = Field(512 * MIB, ge=1)
    """Sum of all recordings and photos held at one time, at least the largest one; more is refused as overloaded."""
    decode_threads: int = Field(default_factory=lambda: max(2, usable_cpus()), ge=1)
    """Processes that decode audio and images at a time; one more for callers of whom none works."""

    @property
    def max_object_bytes(self) -> int:
        """Largest stored object of a store that has recordings and photos; each kind has its own limit."""
        return max(self.max_audio_bytes, self.max_image_bytes)
