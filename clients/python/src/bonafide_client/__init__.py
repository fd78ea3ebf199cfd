"""Client of the Bonafide service: is this voice, is this face, real or fake?

`BonafideClient` blocks, `AsyncBonafideClient` awaits; both have the same verbs, results and errors.
`AudioDetectionClient` judges speech while it is spoken.
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
from .live import AudioDetectionClient, LiveChannel, LiveSummary, LiveWindow, file_blocks, microphone
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
