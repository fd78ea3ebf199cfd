"""The payload of a record: a judgement with its call, as JSON types. docs/evidence.md describes each field."""

from datetime import UTC, datetime
from typing import Any

from bonafide import __version__
from bonafide.calls import Call
from bonafide.decision import Answer
from bonafide.evidence.judgement import Judgement
from bonafide.verdict import WindowVerdict

FORM = 1
"""To be raised when a field changes its meaning."""
_DIGITS = 7
"""Decimals of scores, which are single precision."""


def payload_of(judgement: Judgement, call: Call, seconds: float) -> dict[str, Any]:
    """The payload, still without its place in the log.

    Args:
        judgement: what is recorded.
        call: its ids.
        seconds: since 1970.

    Raises:
        ValueError: the digest of the media is missing.
    """
    model, media = judgement.model, judgement.media
    if media is None:
        raise ValueError("a record needs the digest of its media")
    payload: dict[str, Any] = {
        "form": FORM,
        "time": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": call.request_id,
        "task_id": call.task_id,
        "task": model.task,
        "source": judgement.source,
        "media": {"sha256": media.sha256, "bytes": media.length},
        "model": {
            "name": model.name,
            "version": model.version,
            "fingerprint": model.fingerprint,
            "engine": model.engine,
            "device": model.device,
            "precision": model.precision,
            "demo": model.demo,
        },
        "calibration": {"calibrated": model.calibrated, "threshold": model.threshold},
        "threshold": judgement.threshold,
        "score": _rounded(judgement.score),
        "label": judgement.label,
        **_said_beside(judgement.answer),
        "software": {"name": "bonafide", "version": __version__},
    }
    if model.task == "voice":
        payload["windows"] = [_window(window) for window in judgement.windows]
    if judgement.hop_seconds is not None:
        payload["hop_seconds"] = judgement.hop_seconds
    if judgement.channel_mode:
        payload["channel_mode"] = judgement.channel_mode
    if judgement.channel:
        payload["channel"] = judgement.channel
    if judgement.reference:
        payload["reference"] = judgement.reference
    if judgement.member_scores:
        payload["member_scores"] = {name: _rounded(score) for name, score in judgement.member_scores.items()}
    return payload


def _said_beside(answer: Answer) -> dict[str, Any]:
    """What of an answer there is: no decision without a band, no ratio without a calibration."""
    said = {
        "decision": answer.decision,
        "llr": _rounded(answer.llr),
        "partially_spoofed": answer.partially_spoofed or None,
        "conditions": list(answer.conditions) or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _window(window: WindowVerdict) -> list[float | None]:
    """Start and end in seconds, P(spoof) or None, and the share that is speech."""
    return [
        round(window.start_s, 6),
        round(window.end_s, 6),
        _rounded(window.score),
        round(window.speech_ratio, 4),
    ]


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, _DIGITS)
