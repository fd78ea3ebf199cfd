"""Decision, evidence and conditions from messages to results, and what the client refuses."""

import math
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from bonafide_client import convert
from bonafide_client.errors import Internal
from bonafide_client.job_convert import job
from bonafide_client.live import convert as live_convert
from bonafide_client.live.results import JudgedWindow
from bonafide_client.media import Upload, stored
from bonafide_client.proto import audio_analyzer_pb2 as audio
from bonafide_client.proto import jobs_pb2
from bonafide_client.proto import liveness_api_pb2 as liveness

SUMMARY: dict[str, Any] = {
    "type": "summary",
    "label": "bonafide",
    "p_spoof": 0.25,
    "threshold": 0.5,
    "windows": [],
    "suspicious": [],
    "audio_seconds": 4.0,
    "judged_seconds": 4.0,
    "speech_seconds": 4.0,
    "model": {"name": "m", "version": "v", "demo": False},
    "calibrated": True,
    "request_id": "r",
}


def message(**fields: Any) -> audio.AnalyzeAudioResponse:
    return audio.AnalyzeAudioResponse(label="bonafide", score=0.25, **fields)


def test_a_report_has_the_three_answers() -> None:
    found = convert.audio_report(
        message(decision="uncertain", llr=-1.5, partially_spoofed=True, conditions=["noise", "codec"], hop_seconds=2.0)
    )
    assert (found.decision, found.llr, found.partially_spoofed) == ("uncertain", -1.5, True)
    assert (found.conditions, found.hop_seconds) == (("noise", "codec"), 2.0)


def test_an_older_service_tells_none_of_it() -> None:
    found = convert.audio_report(message())
    assert (found.decision, found.llr, found.partially_spoofed) == (None, None, False)
    assert (found.conditions, found.hop_seconds) == ((), None)


@pytest.mark.parametrize("fields", [{"decision": "maybe"}, {"llr": math.nan}, {"llr": math.inf}])
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Internal):
        convert.audio_report(message(**fields))


@pytest.mark.parametrize("label", ["", "real", "SPOOF"])
def test_an_unknown_label_says_what_kind_of_service_answered(label: str) -> None:
    live = {**SUMMARY, "label": label}
    photo = liveness.LivenessResponse(success=True, is_live=True, predicted_class=label)
    for read in (
        lambda: convert.audio_report(audio.AnalyzeAudioResponse(label=label, score=0.25)),
        lambda: convert.face_report(photo),
        lambda: live_convert.summary(live, 0, 0.0),
    ):
        with pytest.raises(Internal, match="newer than this client, or no Bonafide service"):
            read()


@pytest.mark.parametrize("score", [None, 2, math.nan, "0.9"])
def test_a_stretch_of_live_speech_has_a_probability(score: object) -> None:
    stretch = {"start_time_seconds": 0.0, "end_time_seconds": 1.0, "p_spoof": score}
    with pytest.raises(Internal, match="cannot be understood"):
        live_convert.summary({**SUMMARY, "suspicious": [stretch]}, 0, 0.0)


def test_a_photo_and_a_status() -> None:
    photo = liveness.LivenessResponse(success=True, is_live=True, predicted_class="live", decision="bonafide", llr=-2.0)
    assert (convert.face_report(photo).decision, convert.face_report(photo).llr) == ("bonafide", -2.0)
    status = audio.VoiceModelStatusResponse(
        status="loaded", notice="of its card", uncertain_lower=0.2, uncertain_upper=0.8
    )
    assert convert.voice_status(status).uncertain == (0.2, 0.8)
    assert convert.voice_status(status).notice == "of its card"
    assert convert.voice_status(audio.VoiceModelStatusResponse()).uncertain is None


def test_a_state_that_is_newer_than_the_client() -> None:
    assert convert.health(health_pb2.HealthCheckResponse(status=9)) == "UNKNOWN"
    assert convert.health(health_pb2.HealthCheckResponse(status=1)) == "SERVING"
    assert job(jobs_pb2.Job(state="expired", ended_at=1.0)).has_ended
    assert not job(jobs_pb2.Job(state="paused")).has_ended


def test_a_hop_is_sent_once_and_only_where_it_is_given() -> None:
    assert stored("calls", "a.wav", "", 1.0).hop_seconds == 1.0
    assert not stored("calls", "a.wav", "", None).HasField("hop_seconds")
    upload = Upload(b"x" * 3_000_000, "task", None, 0.5)
    upload.open()
    first, *others = upload.parts()
    upload.leave()
    assert (first.hop_seconds, first.task_id) == (0.5, "task")
    assert others
    assert not any(each.HasField("hop_seconds") for each in others)


def test_a_live_summary_has_them_and_one_of_a_resumed_session_decides_nothing() -> None:
    fields = {"decision": "bonafide", "llr": -1.0, "partially_spoofed": False, "conditions": ["codec"]}
    found = live_convert.summary(SUMMARY | fields, 0, 0.0)
    assert (found.decision, found.llr, found.conditions) == ("bonafide", -1.0, ("codec",))
    resumed = found.after((JudgedWindow(0, 0.0, 1.0, "spoof", 0.9, 1.0),))
    assert (resumed.decision, resumed.llr) == (None, None)
    old = live_convert.summary(SUMMARY, 0, 0.0)
    assert (old.decision, old.llr, old.partially_spoofed, old.conditions) == (None, None, False, ())


@pytest.mark.parametrize("fields", [{"decision": "maybe"}, {"llr": "high"}])
def test_nonsense_of_a_live_session_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Internal):
        live_convert.summary(SUMMARY | fields, 0, 0.0)
