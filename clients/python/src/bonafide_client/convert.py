"""From the service's messages to results. What could turn a verdict into its opposite is refused here."""

import logging
import math
import struct
from collections.abc import Mapping
from typing import cast

from grpc_health.v1 import health_pb2

from .errors import NEWER_OR_NONE, Internal, from_code
from .proto import audio_analyzer_pb2 as audio
from .proto import liveness_api_pb2 as liveness
from .results import (
    AudioEvent,
    AudioReport,
    ChannelVerdict,
    ChunkScore,
    Decision,
    FaceBox,
    FaceLabel,
    FaceReport,
    Health,
    MemberModel,
    ModelIdentity,
    ModelStatus,
    Stretch,
    VoiceLabel,
)

_log = logging.getLogger(__name__)


def audio_report(message: audio.AnalyzeAudioResponse) -> AudioReport:
    """The verdict on a recording.

    Raises:
        Internal: a label or a score that no Bonafide service gives.
    """
    request_id = message.request_id
    return AudioReport(
        label=_voice_label(message.label, request_id),
        score=_voice_score(message, request_id),
        threshold=_short(message.threshold),
        chunks=tuple(_chunk(chunk, None, request_id) for chunk in message.chunks),
        audio_seconds=message.audio_seconds,
        model=_identity(message.model),
        request_id=request_id,
        error_message=message.error_message,
        warnings=tuple(message.warnings),
        calibrated=message.calibrated,
        suspicious=tuple(_stretch(stretch, request_id) for stretch in message.suspicious),
        speech_seconds=message.speech_seconds,
        member_scores=_member_scores(message.member_scores, request_id),
        evidence=message.evidence,
        channel=message.channel,
        channels=tuple(_channel(each, request_id) for each in message.channels),
        decision=_decision(message.decision, request_id),
        llr=_llr(message, request_id),
        partially_spoofed=message.partially_spoofed,
        conditions=tuple(message.conditions),
        hop_seconds=message.hop_seconds or None,
    )


def _channel(message: audio.ChannelVerdict, request_id: str) -> ChannelVerdict:
    return ChannelVerdict(
        number=message.number,
        name=message.name,
        label=_voice_label(message.label, request_id),
        score=_voice_score(message, request_id),
        speech_seconds=message.speech_seconds,
        chunks=tuple(_chunk(chunk, None, request_id) for chunk in message.chunks),
        suspicious=tuple(_stretch(stretch, request_id) for stretch in message.suspicious),
        member_scores=_member_scores(message.member_scores, request_id),
        decision=_decision(message.decision, request_id),
        llr=_llr(message, request_id),
        partially_spoofed=message.partially_spoofed,
        conditions=tuple(message.conditions),
    )


def audio_event(message: audio.AnalyzeAudioEvent) -> AudioEvent | None:
    """One step of a streamed analysis; None for a kind of message that is newer than this client."""
    kind = message.WhichOneof("event")
    if kind == "chunk":
        return _chunk(message.chunk, message.total_chunks or None, "")
    if kind == "summary":
        return audio_report(message.summary)
    _log.warning("skipping a message of unknown kind; a newer bonafide-client may understand it")
    return None


def expect_report(last: AudioEvent | None) -> AudioReport:
    """The report that a stream ended with. Raises Internal when it ended, without an error, before that."""
    if not isinstance(last, AudioReport):
        raise Internal("the service ended the analysis without a verdict")
    return last


def face_report(message: liveness.LivenessResponse) -> FaceReport:
    """The verdict on a photo.

    Raises:
        BonafideError: the service says that the image cannot be judged.
        Internal: an answer that contradicts itself, or that no Bonafide service gives.
    """
    request_id = message.request_id
    if not message.success:
        raise from_code(message.error_code, message.error_message or "the photo could not be judged", request_id)
    label = message.predicted_class
    if label not in ("live", "fake") or message.is_live != (label == "live"):
        raise _nonsense(f"class {label!r} with is_live={message.is_live}", request_id)
    return FaceReport(
        label=cast(FaceLabel, label),
        score=_probability(message.probabilities.fake, request_id),
        confidence=_probability(message.confidence, request_id),
        threshold=_short(message.threshold),
        model=ModelIdentity(message.model_name, message.model_version, message.demo),
        request_id=request_id,
        calibrated=message.calibrated,
        reason=message.reason,
        faces=tuple(_face_box(face) for face in message.faces),
        member_scores=_member_scores(message.member_scores, request_id),
        evidence=message.evidence,
        decision=_decision(message.decision, request_id),
        llr=_llr(message, request_id),
    )


def voice_status(message: audio.VoiceModelStatusResponse) -> ModelStatus:
    """The state of the voice model."""
    return _status(message, _identity(message.model))


def face_status(message: liveness.ModelStatusResponse) -> ModelStatus:
    """The state of the face model."""
    return _status(message, ModelIdentity(message.model_name, message.model_version, message.demo))


def health(message: health_pb2.HealthCheckResponse) -> Health:
    """The answer of the standard health service; a state that is newer than this client is `UNKNOWN`."""
    states = health_pb2.HealthCheckResponse.ServingStatus
    return cast(Health, states.Name(message.status)) if message.status in states.values() else "UNKNOWN"


def _status(
    message: audio.VoiceModelStatusResponse | liveness.ModelStatusResponse, model: ModelIdentity
) -> ModelStatus:
    return ModelStatus(
        status=message.status,
        is_loaded=message.is_loaded,
        model=model,
        model_type=message.model_type,
        local_path=message.local_path,
        engine=message.engine,
        device=message.device,
        precision=message.precision,
        threshold=_short(message.threshold),
        calibrated=message.calibrated,
        members=tuple(
            MemberModel(each.name, each.version, each.weight, each.engine, each.device, each.precision)
            for each in message.members
        ),
        uncertain=(_short(message.uncertain_lower), _short(message.uncertain_upper))
        if message.HasField("uncertain_lower")
        else None,
        notice=message.notice,
    )


def _chunk(message: audio.ChunkResult, total_chunks: int | None, request_id: str) -> ChunkScore:
    return ChunkScore(
        chunk_id=message.chunk_id,
        score=_voice_score(message, request_id),
        label=_voice_label(message.label, request_id),
        start_s=message.start_time_seconds,
        end_s=message.end_time_seconds,
        speech_ratio=_short(message.speech_ratio),
        total_chunks=total_chunks,
        member_scores=_member_scores(message.member_scores, request_id),
        channel=message.channel,
        llr=_llr(message, request_id),
    )


def _face_box(message: liveness.FaceBox) -> FaceBox:
    numbers = (message.left, message.top, message.width, message.height, message.confidence)
    return FaceBox(*(_short(number) for number in numbers))


def _identity(message: audio.ModelIdentity) -> ModelIdentity:
    return ModelIdentity(message.name, message.version, message.demo)


def _stretch(message: audio.SuspiciousStretch, request_id: str) -> Stretch:
    score = _probability(message.score, request_id)
    return Stretch(message.start_time_seconds, message.end_time_seconds, score)


def _voice_score(
    message: audio.AnalyzeAudioResponse | audio.ChannelVerdict | audio.ChunkResult, request_id: str
) -> float | None:
    """None without speech; a service that knows nothing of speech leaves out a score of 0."""
    if message.label != "no_speech":
        return _probability(message.score, request_id)
    if message.HasField("score"):
        raise _nonsense("a score for what has no speech", request_id)
    return None


def _member_scores(scores: Mapping[str, float], request_id: str) -> dict[str, float]:
    return {name: _probability(score, request_id) for name, score in sorted(scores.items())}


def _voice_label(label: str, request_id: str) -> VoiceLabel:
    if label not in ("spoof", "bonafide", "no_speech"):
        raise _nonsense(f"label {label!r}", request_id)
    return cast(VoiceLabel, label)


def _decision(decision: str, request_id: str) -> Decision | None:
    if decision not in ("", "bonafide", "spoof", "uncertain"):
        raise _nonsense(f"decision {decision!r}", request_id)
    return cast(Decision, decision) if decision else None


def _llr(
    message: audio.AnalyzeAudioResponse | audio.ChannelVerdict | audio.ChunkResult | liveness.LivenessResponse,
    request_id: str,
) -> float | None:
    if not message.HasField("llr"):
        return None
    if not math.isfinite(message.llr):
        raise _nonsense(f"a log likelihood ratio of {message.llr}", request_id)
    return _short(message.llr)


def _probability(value: float, request_id: str) -> float:
    if not 0.0 <= value <= 1.0:  # NaN fails this too
        raise _nonsense(f"score {value}", request_id)
    return _short(value)


def _short(value: float) -> float:
    """The shortest decimal that is the same float32, so that 0.9 is not 0.8999999761581421."""
    for digits in range(6, 9):
        if struct.pack("f", short := float(f"{value:.{digits}g}")) == struct.pack("f", value):
            return short
    return value


def _nonsense(what: str, request_id: str) -> Internal:
    return Internal(f"the service answered with {what}: {NEWER_OR_NONE}", request_id=request_id)
