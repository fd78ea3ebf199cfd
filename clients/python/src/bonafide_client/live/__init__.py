"""Live voices over the service's WebSocket: audio goes in while it is spoken, verdicts on its windows come out."""

from ..results import Stretch
from .client import AudioDetectionClient
from .results import LiveChannel, LiveSummary, LiveWindow
from .sources import file_blocks, microphone

__all__ = ["AudioDetectionClient", "LiveChannel", "LiveSummary", "LiveWindow", "Stretch", "file_blocks", "microphone"]
