"""Results as JSON documents, with the names that the service's messages give the fields."""

from dataclasses import asdict
from typing import Any

from ..errors import BonafideError
from ..results import AudioReport, FaceReport, ModelStatus
from .outcome import Outcome, error_fields


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """One file's document: `file` (or `bucket` and `key`), then the report's fields or `error`."""
    if outcome.bucket is None:
        source = {"file": outcome.name}
    else:
        source = {"bucket": outcome.bucket, "key": outcome.name}
    match outcome.result:
        case AudioReport() as report:
            return source | _audio(report)
        case FaceReport() as report:
            return source | _face(report)
        case error:
            return source | error_document(error)


def error_document(error: BonafideError | OSError) -> dict[str, Any]:
    """An error, under the key `error`."""
    code, message, request_id = error_fields(error)
    return {"error": {"code": code, "message": message, "request_id": request_id}}


def status_document(address: str, health: str, voice: ModelStatus, face: ModelStatus) -> dict[str, Any]:
    """The state of the service and of its two models."""
    return {"address": address, "health": health, "voice": asdict(voice), "face": asdict(face)}


def _audio(report: AudioReport) -> dict[str, Any]:
    return {
        "label": report.label,
        "score": report.score,
        "threshold": report.threshold,
        "audio_seconds": report.audio_seconds,
        "chunks": [
            {
                "chunk_id": chunk.chunk_id,
                "score": chunk.score,
                "label": chunk.label,
                "start_time_seconds": chunk.start_s,
                "end_time_seconds": chunk.end_s,
            }
            for chunk in report.chunks
        ],
        "model": asdict(report.model),
        "warnings": list(report.warnings),
        "error_message": report.error_message,
        "request_id": report.request_id,
    }


def _face(report: FaceReport) -> dict[str, Any]:
    return {
        "label": report.label,
        "is_live": report.is_live,
        "score": report.score,
        "confidence": report.confidence,
        "threshold": report.threshold,
        "model": asdict(report.model),
        "request_id": report.request_id,
    }
