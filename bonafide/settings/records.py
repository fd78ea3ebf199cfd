"""What is kept of verdicts."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from bonafide.settings.group import MIB, SettingsGroup


class RecordSettings(SettingsGroup):
    """Evidence, drift and feedback."""

    # Evidence: signed records of verdicts
    evidence_key: Path | None = None
    """PEM file of an Ed25519 key that signs a record of each verdict (docs/evidence.md); unset: there are none."""
    evidence_log: Path | None = None
    """Folder of the log of these records."""
    evidence_log_max_bytes: int = Field(64 * MIB, ge=64 * 1024)
    """Bytes of one file of the log; the chain goes on in the next."""
    evidence_fsync: bool = True
    """Whether a record is on the disk before its verdict is answered; else the system writes it when it likes."""
    evidence_required: bool = True
    """Whether a verdict whose record cannot be kept (a full disk) is refused as unavailable; else it is only signed."""

    # Drift and feedback
    drift_recent: int = Field(1000, ge=20, le=1_000_000)
    """Most recent scores whose distance to the calibrated ones is measured, by version, transport and codec."""
    drift_spoof_share: float | None = Field(None, ge=0.0, le=1.0)
    """Share of spoofs that is expected among them; unset: as in the data of the calibration."""
    feedback_db: SecretStr | None = None  # a URL may hold a password
    """File of SQLite, or `postgresql://` URL, where verdicts are kept for the truth to be told; unset: nowhere."""
    feedback_keep_days: float = Field(90.0, gt=0.0)
    """Days that a verdict is kept there, with the truth about it."""
    feedback_max_verdicts: int = Field(1_000_000, ge=1)
    """Verdicts that are kept there; the oldest go first."""

    @model_validator(mode="after")
    def _evidence_is_whole(self) -> Self:
        if (self.evidence_key is None) != (self.evidence_log is None):
            raise ValueError("BONAFIDE_EVIDENCE_KEY and BONAFIDE_EVIDENCE_LOG go together")
        return self
