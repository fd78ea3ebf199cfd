"""Jobs: many stored recordings or photos in one request."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from bonafide.settings.group import SettingsGroup
from bonafide.settings.types import HttpOrigins


class JobSettings(SettingsGroup):
    """What jobs may ask for, and how long they are kept."""

    jobs: bool = False
    """Whether jobs are taken: many stored recordings in one request, judged behind the calls (docs/jobs.md)."""
    jobs_photos: bool = False
    """Whether jobs may be of photos too; the face model is then held twice, as the voice model is with jobs."""
    jobs_db: Path = Path("data/jobs.db")
    """File of SQLite where jobs are kept if no Redis is configured."""
    jobs_max_keys: int = Field(10_000, ge=1, le=1_000_000)
    """Recordings or photos of one job."""
    jobs_max_per_caller: int = Field(10, ge=1)
    """Jobs of one caller that have not ended; one more is refused as overloaded."""
    jobs_keep_hours: float = Field(24.0, gt=0.0)
    """How long a job and its results (biometric data) are kept after its last result."""
    jobs_concurrency: int = Field(2, ge=1, le=64)
    """Recordings and photos of jobs that each process of the service has under analysis."""
    jobs_lease_s: float = Field(30.0, ge=1.0)
    """After so long without a sign of life of the process that took a recording or photo, another one takes it over."""
    jobs_callbacks: HttpOrigins = ()
    """Origins that a job's callback may go to: `https://app.example.com`; empty: jobs have no callbacks."""

    @model_validator(mode="after")
    def _photos_of_jobs(self) -> Self:
        if self.jobs_photos and not self.jobs:
            raise ValueError("BONAFIDE_JOBS_PHOTOS is true, so BONAFIDE_JOBS must be true too")
        return self
