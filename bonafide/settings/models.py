"""Which models judge, and how they are run."""

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from bonafide.settings.group import MIB, SettingsGroup, cache_home
from bonafide.settings.types import BatchSize, ScoreBand, Texts


class ModelSettings(SettingsGroup):
    """Models, engines and batches, and what a verdict needs."""

    # Models
    voice_model: str = "bundled"
    """Voice model reference: `bundled`, a folder, a `.pth` file, a hub id, or `bento:<tag>`."""
    face_model: str = "bundled"
    """Face model reference: `bundled`, a folder, a hub id, or `bento:<tag>`."""
    voice_spoof_label: str | None = None
    """Name or index of the class that means spoof, if the labels do not tell; `not NAME`: of the one that does not."""
    face_spoof_label: str | None = None
    """Name or index of the class that means fake, if the labels do not tell; `not NAME`: of the one that does not."""
    voice_threshold: float | None = Field(None, ge=0.0, le=1.0)
    """A voice score at or above it is labelled spoof; unset: as the model was calibrated, else 0.5."""
    face_threshold: float | None = Field(None, ge=0.0, le=1.0)
    """A photo with P(fake) at or above it is labelled fake; unset: as the model was calibrated, else 0.5."""
    voice_uncertain: ScoreBand = None
    """`0.2,0.8`: from the lower voice score to below the upper one `decision` is `uncertain`; unset: as calibrated."""
    face_uncertain: ScoreBand = None
    """The same of P(fake) of photos."""
    voice_shadow: str | None = None
    """Second voice model, a reference: it scores what was answered, for metrics and log alone (docs/replacing.md)."""
    face_shadow: str | None = None
    """Second face model, a reference, likewise."""
    voice_shadow_spoof_label: str | None = None
    """As `voice_spoof_label`, of the second model."""
    face_shadow_spoof_label: str | None = None
    """As `face_spoof_label`, of the second model."""
    voice_shadow_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of recordings and live sessions that the second voice model scores too, chosen at random."""
    face_shadow_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of photos that the second face model scores too, chosen at random."""
    shadow_max_bytes: int = Field(64 * MIB, ge=0)
    """Windows and photos held for the second models, of each task; what does not fit is not scored, and counted."""
    face_crop: bool = False
    """Whether the largest face is judged, instead of the whole picture; only where one is found."""
    face_crop_margin: float = Field(0.5, ge=0.0, le=4.0)
    """With `face_crop`: how much of the face's longer side is kept around it on each side."""
    face_several_share: float = Field(0.5, gt=0.0, le=1.0)
    """Reason `several_faces`: another face has at least this share of the largest one's size."""
    face_min_pixels: float = Field(48.0, ge=0.0)
    """Reason `small_face`: of the largest face's shorter side, fewer pixels than this reach the model; if the model has
    a face factor, are in the photo."""
    face_min_brightness: float = Field(40.0, ge=0.0, le=255.0)
    """Reason `dark`: the face's mean luminance, 0 to 255, is less."""
    face_min_sharpness: float = Field(0.035, ge=0.0)
    """Reason `blurred`: of the face, scaled to 64 x 64, the Laplacian varies less than this share of the luminance."""
    min_speech_ratio: float = Field(0.1, ge=0.0, le=1.0)
    """A window is judged when at least this share of it is speech; 0: every window is judged."""
    channel_names: Texts = ()
    """What channels 0, 1, ... are called in answers: `agent,caller`; the others by their number."""
    models_dir: Path = Field(default_factory=lambda: cache_home() / "models")
    """Where models from the hub are saved after the first download, and compiled models are cached."""
    offline: bool = False
    """Never access the model hub; only saved models are used."""
    engine: Literal["auto", "torch", "openvino"] = "auto"
    """Inference engine; auto takes torch on CUDA and OpenVINO on a CPU."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto takes bf16 where the device is quicker in it."""
    engine_threads: int = Field(0, ge=0)
    """CPU threads of each runner's engine; 0: chosen by the engine."""

    # Batching in the runners, which tell the service their sizes; set them where the runners run.
    voice_max_batch: BatchSize = Field(0, ge=0, le=512)
    """Most full windows in one batch of the voice runner, or four times as many of a second; 0: by the device."""
    face_max_batch: BatchSize = Field(0, ge=0, le=512)
    """Most photos in one batch of the face runner; 0: by the device."""
    batch_max_wait_ms: float = Field(5.0, gt=0.0)
    """Longest time that a single item waits for others to share its batch."""
    batch_max_latency_ms: int = Field(600_000, ge=100)
    """BentoML refuses what it estimates to take longer; so high that it never does, since admission is our own."""

    @cached_property
    def compiled_dir(self) -> Path:
        """Folder of compiled models."""
        return self.models_dir / "compiled"
