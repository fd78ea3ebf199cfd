"""How many calls are taken, and for how long."""

from pydantic import Field

from bonafide.settings.group import SettingsGroup


class CallSettings(SettingsGroup):
    """Admission, time limits and draining."""

    workers: int = Field(1, ge=1, le=64)
    """Processes of the service; each counts calls and sessions for itself, as replicas do. More than 1: with Redis."""
    max_voice_calls: int = Field(64, ge=1)
    """Recordings under analysis or waiting; one more is refused as overloaded."""
    max_face_calls: int = Field(128, ge=1)
    """Photos under judgement or waiting; one more is refused as overloaded."""
    call_timeout_s: float = Field(600.0, gt=0.0)
    """Longest time of an audio analysis whose caller gave no deadline."""
    face_timeout_s: float = Field(30.0, gt=0.0)
    """Longest time of a photo's judgement whose caller gave no deadline."""
    drain_s: float = Field(20.0, ge=0.0)
    """How long calls in flight may go on after SIGTERM."""
    drain_notice_s: float = Field(1.0, ge=0.0)
    """Part of it in which calls are still accepted while health and readiness fail, so that balancers notice."""
