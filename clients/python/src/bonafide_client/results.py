"""What the service answers, as frozen dataclasses. Scores are P(spoof) or P(fake), 0..1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

VoiceLabel: TypeAlias = Literal["spoof", "bonafide", "no_speech"]
FaceLabel: TypeAlias = Literal["fake", "live"]
Decision: TypeAlias = Literal["bonafide", "spoof", "uncertain"]
Health: TypeAlias = Literal["SERVING", "NOT_SERVING", "UNKNOWN", "SERVICE_UNKNOWN"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model spoke. `version` changes with its weights, configuration or label mapping."""

    name: str
    version: str
    demo: bool
    """True for the small bundled models, whose verdicts are for demonstration only."""


@dataclass(frozen=True, slots=True)
class ChunkScore:
    """The score of one chunk of a recording, from `start_s` to `end_s` seconds."""

    chunk_id: str
    score: float | None
    """None without speech."""
    label: VoiceLabel
    start_s: float
    end_s: float
    speech_ratio: float = 0.0
    """Share of the chunk in which somebody speaks, 0..1."""
    total_chunks: int | None = field(default=None, compare=False)
    """While scores arrive: how many chunks the recording has, once that is known."""
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    """P(spoof) by each member of an ensemble, by its name; empty for a single model, and without speech."""
    channel: str = ""
    """Whose it is, by name; empty of all channels together. Chunks of several channels share an id."""
    llr: float | None = None
    """Natural logarithm of the likelihood ratio, spoof over bona fide; None without speech or a calibration."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where neighbouring chunks are labelled spoof; `score` is their mean, weighted by seconds of speech."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class ChannelVerdict:
    """The verdict on one channel."""

    number: int
    """From 0."""
    name: str
    """As the service is set to name it, else its number."""
    label: VoiceLabel
    score: float | None
    """P(spoof), 0..1, as of this channel alone; None without speech."""
    speech_seconds: float
    chunks: tuple[ChunkScore, ...]
    suspicious: tuple[Stretch, ...] = ()
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    decision: Decision | None = None
    """As in `AudioReport`, all four."""
    llr: float | None = None
    partially_spoofed: bool = False
    conditions: tuple[str, ...] = ()

    @property
    def is_spoof(self) -> bool:
        """Whether this channel is labelled spoof."""
        return self.label == "spoof"


@dataclass(frozen=True, slots=True)
class AudioReport:
    """The verdict on a recording; its chunks are in the order of the recording."""

    label: VoiceLabel
    score: float | None
    """None without speech."""
    threshold: float
    """A score at or above it is labelled spoof."""
    chunks: tuple[ChunkScore, ...]
    audio_seconds: float
    model: ModelIdentity
    request_id: str
    error_message: str
    """Empty, or which chunks could not be scored (the verdict stands on the others), or that there is no speech."""
    warnings: tuple[str, ...]
    """What to know although the call succeeded, e.g. that the file was truncated."""
    calibrated: bool = False
    """Whether scores and threshold were fitted to data."""
    suspicious: tuple[Stretch, ...] = ()
    """Where to listen first."""
    speech_seconds: float = 0.0
    """Seconds in which somebody speaks."""
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    """P(spoof) by each member of an ensemble, by its name, taken together as `score` is."""
    evidence: str = ""
    """The signed record of this verdict, see `bonafide verify`; empty where the service keeps none."""
    channel: str = ""
    """Whose verdict this is, of `channels` that with the highest score; empty when all were judged as one."""
    channels: tuple[ChannelVerdict, ...] = ()
    """Of channels that were judged apart."""
    decision: Decision | None = None
    """`uncertain` between both ends of the band; None unless the service has one."""
    llr: float | None = None
    """Natural logarithm of the likelihood ratio, spoof over bona fide; None without speech or a calibration."""
    partially_spoofed: bool = False
    """Bona fide by its mean, with suspicious stretches."""
    conditions: tuple[str, ...] = ()
    """What weakens the verdict, e.g. `narrow_band`; for programs, as `warnings` are for people."""
    hop_seconds: float | None = None
    """Between the starts of two chunks; None from older services."""

    @property
    def is_spoof(self) -> bool:
        """Whether the recording as a whole is labelled spoof."""
        return self.label == "spoof"


@dataclass(frozen=True, slots=True)
class FaceBox:
    """Where a face is, as shares of the picture's width and height, 0..1."""

    left: float
    top: float
    width: float
    height: float
    confidence: float
    """How sure the finder is, 0..1."""


@dataclass(frozen=True, slots=True)
class FaceReport:
    """The verdict on a photo."""

    label: FaceLabel
    score: float
    """P(fake)."""
    confidence: float
    """Probability of `label`."""
    threshold: float
    """A score at or above it is labelled fake."""
    model: ModelIdentity
    request_id: str
    calibrated: bool = False
    """Whether scores and threshold were fitted to data."""
    reason: str = ""
    """Why not to rely on the verdict: `no_face`, `several_faces`, `small_face`, `dark`, `blurred`; else empty."""
    faces: tuple[FaceBox, ...] = ()
    """The faces that were found, the largest first."""
    member_scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    """P(fake) by each member of an ensemble, by its name; empty for a single model."""
    evidence: str = ""
    """The signed record of this verdict, see `bonafide verify`; empty where the service keeps none."""
    decision: Decision | None = None
    """`bonafide` for live, `spoof` for fake, `uncertain` between both ends of the band; None without one."""
    llr: float | None = None
    """Natural logarithm of the likelihood ratio, fake over live; None without a calibration."""

    @property
    def is_live(self) -> bool:
        """Whether the photo is labelled live."""
        return self.label == "live"


@dataclass(frozen=True, slots=True)
class MemberModel:
    """One of the models of an ensemble; `weight` is that of its log odds, or a share of all weights of a mean."""

    name: str
    version: str
    weight: float
    engine: str
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The state of one of the two models."""

    status: str
    """`loaded`, `not_loaded` or `error`."""
    is_loaded: bool
    model: ModelIdentity
    model_type: str
    local_path: str
    engine: str
    device: str
    precision: str
    threshold: float
    calibrated: bool = False
    """Whether scores and threshold were fitted to data."""
    members: tuple[MemberModel, ...] = ()
    """Of an ensemble; empty for a single model."""
    uncertain: tuple[float, float] | None = None
    """From the first score to below the second nothing is decided; None: decisions are not asked for."""
    notice: str = ""
    """What the model's card says to whoever asks, as the bundled models' figures; else empty."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the analysis of an uploaded recording has come; a total is None until it is known."""

    sent_bytes: int = 0
    total_bytes: int | None = None
    done_chunks: int = 0
    total_chunks: int | None = None


AudioEvent: TypeAlias = ChunkScore | AudioReport
"""One step of a streamed analysis: a score per chunk, and last of all the report."""
