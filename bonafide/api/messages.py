"""Reports and model descriptions as protobuf messages: the one format that gRPC sends and HTTP prints as JSON."""

from dataclasses import asdict
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from bonafide.calls import Call
from bonafide.channels import ChannelVerdict, channel_name
from bonafide.decision import Band, effective_band
from bonafide.errors import BonafideError
from bonafide.face import FaceReport
from bonafide.photo.faces import Face
from bonafide.runner.runner import Runner
from bonafide.verdict import SuspiciousStretch, WindowVerdict, effective_threshold
from bonafide.voice_report import AudioReport, ScoredChunk, chunk_id
from models.info import ModelInfo
from proto import audio_analyzer_pb2 as audio
from proto import liveness_api_pb2 as liveness


def chunk_result(window: WindowVerdict, channel: str = "") -> audio.ChunkResult:
    """One window's verdict; `channel` is what its channel is called."""
    return audio.ChunkResult(
        chunk_id=chunk_id(window.index),
        score=window.score,
        start_time_seconds=window.start_s,
        end_time_seconds=window.end_s,
        label=window.label,
        speech_ratio=window.speech_ratio,
        member_scores=window.member_scores,
        channel=channel,
        llr=window.llr,
    )


def audio_response(report: AudioReport, call: Call) -> audio.AnalyzeAudioResponse:
    """The verdict on a recording."""
    return audio.AnalyzeAudioResponse(
        predictions={chunk_id(chunk.index): chunk.score for chunk in report.chunks if chunk.score is not None},
        error_message=report.error_message,
        chunks=[chunk_result(chunk, channel_name(chunk.channel, report.names)) for chunk in report.chunks],
        score=report.score,
        label=report.label,
        threshold=report.threshold,
        model=identity(report.model),
        audio_seconds=report.audio_seconds,
        request_id=call.request_id,
        warnings=report.warnings,
        calibrated=report.model.calibrated,
        suspicious=[suspicious_stretch(stretch) for stretch in report.suspicious],
        speech_seconds=report.speech_seconds,
        member_scores=report.member_scores,
        evidence=report.evidence,
        channel=report.channel,
        channels=[channel_verdict(each) for each in report.channels],
        decision=report.answer.decision or "",
        llr=report.answer.llr,
        partially_spoofed=report.answer.partially_spoofed,
        conditions=report.answer.conditions,
        hop_seconds=report.hop_seconds,
    )


def channel_verdict(verdict: ChannelVerdict) -> audio.ChannelVerdict:
    """The verdict on one channel of a recording or a live session."""
    return audio.ChannelVerdict(
        number=verdict.number,
        name=verdict.name,
        score=verdict.score,
        label=verdict.label,
        speech_seconds=verdict.speech_seconds,
        suspicious=[suspicious_stretch(stretch) for stretch in verdict.suspicious],
        chunks=[chunk_result(each, "" if each.channel is None else verdict.name) for each in verdict.windows],
        member_scores=verdict.member_scores,
        decision=verdict.answer.decision or "",
        llr=verdict.answer.llr,
        partially_spoofed=verdict.answer.partially_spoofed,
        conditions=verdict.answer.conditions,
    )


def feedback_response(request_id: str, verdict: str, label: str) -> audio.FeedbackResponse:
    """The truth is kept."""
    return audio.FeedbackResponse(request_id=request_id, verdict=verdict, label=label, correct=verdict == label)


def as_json(message: Message) -> dict[str, Any]:
    """A message as JSON, with all of its fields; predictions in the order of their chunks."""
    document = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    if isinstance(message, audio.AnalyzeAudioResponse):
        document["predictions"] = {
            chunk.chunk_id: document["predictions"][chunk.chunk_id]
            for chunk in message.chunks
            if chunk.chunk_id in document["predictions"]
        }
    return document


def suspicious_stretch(stretch: SuspiciousStretch) -> audio.SuspiciousStretch:
    """A range of adjacent windows that are labelled spoof."""
    return audio.SuspiciousStretch(
        start_time_seconds=stretch.start_s, end_time_seconds=stretch.end_s, score=stretch.score
    )


def audio_event(event: ScoredChunk | AudioReport, call: Call) -> audio.AnalyzeAudioEvent:
    """One message of a streamed analysis."""
    if isinstance(event, AudioReport):
        return audio.AnalyzeAudioEvent(summary=audio_response(event, call), total_chunks=_chunks_in_all(event))
    return audio.AnalyzeAudioEvent(chunk=chunk_result(event.window, event.channel), total_chunks=event.total)


def _chunks_in_all(report: AudioReport) -> int:
    """Of all channels; those of all channels together once."""
    apart = sum(chunk.channel is not None for each in report.channels for chunk in each.windows)
    return apart + sum(chunk.channel is None for chunk in report.chunks)


def face_response(report: FaceReport, call: Call) -> liveness.LivenessResponse:
    """The verdict on a photo."""
    return liveness.LivenessResponse(
        is_live=report.label == "live",
        confidence=report.confidence,
        predicted_class=report.label,
        probabilities=liveness.LivenessProbabilities(fake=report.fake, live=report.live),
        success=True,
        threshold=report.threshold,
        model_name=report.model.name,
        model_version=report.model.version,
        demo=report.model.demo,
        request_id=call.request_id,
        calibrated=report.model.calibrated,
        reason=report.reason or "",
        faces=[_face_box(face) for face in report.faces],
        member_scores=report.member_scores,
        evidence=report.evidence,
        decision=report.answer.decision or "",
        llr=report.answer.llr,
    )


def face_refusal(error: BonafideError, call: Call) -> liveness.LivenessResponse:
    """The response that old clients expect for an invalid image: status OK, `success` false."""
    return liveness.LivenessResponse(
        predicted_class="error",
        probabilities=liveness.LivenessProbabilities(),
        success=False,
        error_message=error.message,
        error_code=error.code.value,
        request_id=call.request_id,
    )


def voice_status(
    runner: Runner[Any], threshold: float | None, band: Band | None = None
) -> audio.VoiceModelStatusResponse:
    """The voice model that is loaded, or that none is; `threshold` and `band` are the settings."""
    if not runner.ready:
        return audio.VoiceModelStatusResponse(status="not_loaded")
    info = runner.info
    lower, upper = _ends(info, threshold, band)
    return audio.VoiceModelStatusResponse(
        status="loaded",
        model=identity(info),
        model_type=info.architecture,
        local_path=info.local_path,
        is_loaded=True,
        engine=info.engine,
        device=info.device,
        precision=info.precision,
        threshold=effective_threshold(threshold, info.threshold),
        calibrated=info.calibrated,
        members=[audio.MemberModel(**asdict(member)) for member in info.members],
        notice=info.notice,
        uncertain_lower=lower,
        uncertain_upper=upper,
    )


def face_status(runner: Runner[Any], threshold: float | None, band: Band | None = None) -> liveness.ModelStatusResponse:
    """The face model that is loaded, or that none is; `threshold` and `band` are the settings."""
    if not runner.ready:
        return liveness.ModelStatusResponse(status="not_loaded")
    info = runner.info
    lower, upper = _ends(info, threshold, band)
    return liveness.ModelStatusResponse(
        status="loaded",
        model_name=info.name,
        model_type=info.architecture,
        local_path=info.local_path,
        is_loaded=True,
        model_version=info.version,
        demo=info.demo,
        engine=info.engine,
        device=info.device,
        precision=info.precision,
        threshold=effective_threshold(threshold, info.threshold),
        calibrated=info.calibrated,
        members=[liveness.MemberModel(**asdict(member)) for member in info.members],
        notice=info.notice,
        uncertain_lower=lower,
        uncertain_upper=upper,
    )


def _ends(info: ModelInfo, threshold: float | None, band: Band | None) -> tuple[float | None, float | None]:
    in_force = effective_band(band, info.uncertain, effective_threshold(threshold, info.threshold))
    return in_force or (None, None)


def _face_box(face: Face) -> liveness.FaceBox:
    return liveness.FaceBox(
        left=face.left, top=face.top, width=face.width, height=face.height, confidence=face.confidence
    )


def identity(info: ModelInfo) -> audio.ModelIdentity:
    """Name and version of the model."""
    return audio.ModelIdentity(name=info.name, version=info.version, demo=info.demo)
