"""Client of the Bonafide service: is this voice, is this face, real or fake?

`BonafideClient` blocks, `AsyncBonafideClient` awaits; both have the same verbs, results and errors.
`AudioDetectionClient` judges speech while it is spoken.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .aio import AsyncBonafideClient
from .client import BonafideClient
from .connection import Tls
from .errors import (
    BonafideError,
    DeadlineExceeded,
    Forbidden,
    Internal,
    InvalidRequest,
    ObjectNotFound,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnreadableMedia,
)
from .job_results import Job, JobResult
from .media import Source
from .results import (
    AudioEvent,
    AudioReport,
    ChannelVerdict,
    ChunkScore,
    FaceBox,
    FaceReport,
    Health,
    MemberModel,
    ModelIdentity,
    ModelStatus,
    Progress,
    Stretch,
)
from .version import __version__

if TYPE_CHECKING:
    from .live import AudioDetectionClient, LiveChannel, LiveSummary, LiveWindow, file_blocks, microphone

__all__ = [
    "AsyncBonafideClient",
    "AudioDetectionClient",
    "AudioEvent",
    "AudioReport",
    "BonafideClient",
    "BonafideError",
    "ChannelVerdict",
    "ChunkScore",
    "DeadlineExceeded",
    "FaceBox",
    "FaceReport",
    "Forbidden",
    "Health",
    "Internal",
    "InvalidRequest",
    "Job",
    "JobResult",
    "LiveChannel",
    "LiveSummary",
    "LiveWindow",
    "MemberModel",
    "ModelIdentity",
    "ModelStatus",
    "ObjectNotFound",
    "Overloaded",
    "Progress",
    "Source",
    "Stretch",
    "Tls",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnreadableMedia",
    "__version__",
    "file_blocks",
    "microphone",
]

_LIVE = {"AudioDetectionClient", "LiveChannel", "LiveSummary", "LiveWindow", "file_blocks", "microphone"}


def __getattr__(name: str) -> Any:
    """Imports the live client with the first use of one of its names: its WebSockets take a quarter of the import."""
    if name in _LIVE or name == "live":
        live = import_module(".live", __name__)
        return live if name == "live" else getattr(live, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LIVE})
