"""Results as JSON documents: the same that the service answers over HTTP, and where each came from."""

from dataclasses import asdict
from typing import Any

from ..errors import BonafideError
from ..results import AudioReport, ChannelVerdict, ChunkScore, FaceReport, ModelStatus, Stretch
from .outcome import Outcome, error_fields


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """One file's document: `file` (or `bucket` and `key`), then the report's fields or `error`."""
    name, bucket = outcome.name, outcome.bucket
    source = {"file": name} if bucket is None else {"bucket": bucket, "key": name}
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
        "predictions": {chunk.chunk_id: chunk.score for chunk in report.chunks if chunk.score is not None},
        "error_message": report.error_message,
        "chunks": list(map(_chunk, report.chunks)),
        **_score(report.score),
        "label": report.label,
        "threshold": report.threshold,
        "model": asdict(report.model),
        "audio_seconds": report.audio_seconds,
        "request_id": report.request_id,
        "warnings": list(report.warnings),
        "calibrated": report.calibrated,
        "suspicious": list(map(_stretch, report.suspicious)),
        "speech_seconds": report.speech_seconds,
        "member_scores": dict(report.member_scores),
        **({"evidence": report.evidence} if report.evidence else {}),
        "decision": report.decision or "",
        **_llr(report.llr),
        "partially_spoofed": report.partially_spoofed,
        "conditions": list(report.conditions),
        "hop_seconds": report.hop_seconds,
        "channel": report.channel,
        "channels": list(map(_channel, report.channels)),
    }


def _channel(verdict: ChannelVerdict) -> dict[str, Any]:
    return {
        "number": verdict.number,
        "name": verdict.name,
        **_score(verdict.score),
        "label": verdict.label,
        "speech_seconds": verdict.speech_seconds,
        "suspicious": list(map(_stretch, verdict.suspicious)),
        "chunks": list(map(_chunk, verdict.chunks)),
        "member_scores": dict(verdict.member_scores),
        "decision": verdict.decision or "",
        **_llr(verdict.llr),
        "partially_spoofed": verdict.partially_spoofed,
        "conditions": list(verdict.conditions),
    }


def _chunk(chunk: ChunkScore) -> dict[str, Any]:
    return {
        "chunk_id": chunk.chunk_id,
        **_score(chunk.score),
        "start_time_seconds": chunk.start_s,
        "end_time_seconds": chunk.end_s,
        "label": chunk.label,
        "speech_ratio": chunk.speech_ratio,
        "member_scores": dict(chunk.member_scores),
        "channel": chunk.channel,
        **_llr(chunk.llr),
    }


def _stretch(stretch: Stretch) -> dict[str, float]:
    return {"start_time_seconds": stretch.start_s, "end_time_seconds": stretch.end_s, "score": stretch.score}


def _llr(llr: float | None) -> dict[str, float]:
    return {} if llr is None else {"llr": llr}


def _score(score: float | None) -> dict[str, float]:
    return {} if score is None else {"score": score}


def _face(report: FaceReport) -> dict[str, Any]:
    return {
        "is_live": report.is_live,
        "confidence": report.confidence,
        "predicted_class": report.label,
        "probabilities": {"fake": report.score, "live": round(1.0 - report.score, 6)},
        "success": True,
        "error_message": "",
        "threshold": report.threshold,
        "model_name": report.model.name,
        "model_version": report.model.version,
        "demo": report.model.demo,
        "request_id": report.request_id,
        "error_code": "",
        "calibrated": report.calibrated,
        "reason": report.reason,
        "faces": [asdict(face) for face in report.faces],
        "member_scores": dict(report.member_scores),
        **({"evidence": report.evidence} if report.evidence else {}),
        "decision": report.decision or "",
        **_llr(report.llr),
    }
