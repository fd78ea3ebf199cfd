"""Client of the Bonafide service: is this voice, is this face, real or fake?

`BonafideClient` blocks, `AsyncBonafideClient` awaits; both have the same verbs, results and errors.
"""

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
from .media import Source
from .results import (
    AudioEvent,
    AudioReport,
    ChunkScore,
    FaceReport,
    Health,
    ModelIdentity,
    ModelStatus,
    Progress,
)
from .version import __version__

__all__ = [
    "AsyncBonafideClient",
    "AudioEvent",
    "AudioReport",
    "BonafideClient",
    "BonafideError",
    "ChunkScore",
    "DeadlineExceeded",
    "FaceReport",
    "Forbidden",
    "Health",
    "Internal",
    "InvalidRequest",
    "ModelIdentity",
    "ModelStatus",
    "ObjectNotFound",
    "Overloaded",
    "Progress",
    "Source",
    "Tls",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnreadableMedia",
    "__version__",
]
