"""What a verdict comes to as an exit code: success only where nothing speaks against the file."""

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from bonafide_client import AudioReport, FaceReport, ModelIdentity
from bonafide_client.cli import render, render_live
from bonafide_client.cli.outcome import GENUINE, SPOOF, UNJUDGED, Outcome, of_voice
from bonafide_client.live.results import JudgedWindow, LiveChannel, LiveSummary
from bonafide_client.results import ChannelVerdict, Stretch

MODEL = ModelIdentity("model", "v1", demo=False)
WHOLE = (JudgedWindow(0, 0.0, 4.0, "bonafide", 0.2, 1.0),)
CASES: list[tuple[dict[str, Any], int]] = [
    ({}, GENUINE),
    ({"decision": "bonafide"}, GENUINE),
    ({"partially_spoofed": True}, UNJUDGED),
    ({"decision": "bonafide", "partially_spoofed": True}, UNJUDGED),
    ({"decision": "uncertain"}, UNJUDGED),
    ({"label": "no_speech", "score": None}, UNJUDGED),
    ({"decision": "spoof"}, SPOOF),
    ({"label": "spoof", "decision": "uncertain"}, SPOOF),
    ({"label": "spoof", "partially_spoofed": True}, SPOOF),
]


def report(**fields: Any) -> AudioReport:
    told: dict[str, Any] = {
        "label": "bonafide", "score": 0.2, "threshold": 0.5, "chunks": (), "audio_seconds": 4.0, "model": MODEL,
        "request_id": "r", "error_message": "", "warnings": (), "calibrated": True, "suspicious": (),
        "speech_seconds": 4.0,
    }  # fmt: skip
    return AudioReport(**(told | fields))


def summary(**fields: Any) -> LiveSummary:
    told: dict[str, Any] = {
        "label": "bonafide", "score": 0.2, "threshold": 0.5, "windows": WHOLE, "suspicious": (), "audio_seconds": 4.0,
        "judged_seconds": 4.0, "speech_seconds": 4.0, "model": MODEL, "calibrated": True, "request_id": "r",
    }  # fmt: skip
    return LiveSummary(**(told | fields))


@pytest.mark.parametrize(("fields", "code"), CASES)
def test_of_a_recording_and_of_live_speech(fields: dict[str, Any], code: int) -> None:
    assert Outcome("a", None, report(**fields)).exit_code == code
    assert of_voice(summary(**fields)) == code


def test_a_partial_spoof_in_any_channel_counts() -> None:
    told: dict[str, Any] = {
        "name": "agent", "label": "bonafide", "score": 0.1, "suspicious": (), "speech_seconds": 2.0,
    }  # fmt: skip
    spoofed = told | {"partially_spoofed": True}
    recorded = [ChannelVerdict(number=number, chunks=(), **each) for number, each in enumerate([told, spoofed])]
    live = [LiveChannel(number=number, windows=WHOLE, **each) for number, each in enumerate([told, spoofed])]
    for count, code in ((1, GENUINE), (2, UNJUDGED)):
        assert Outcome("a", None, report(channels=tuple(recorded[:count]))).exit_code == code
        assert of_voice(summary(channels=tuple(live[:count]))) == code


def test_a_stream_that_was_resumed_is_no_success_where_the_service_decides() -> None:
    """It decides on the last part alone, so that a connection that breaks would turn `uncertain` into success."""
    for decision, code in ((None, GENUINE), ("bonafide", UNJUDGED), ("uncertain", UNJUDGED), ("spoof", UNJUDGED)):
        found = summary(decision=decision).after(WHOLE)
        assert (found.decision, of_voice(found)) == (None, code)
        assert ("decision: none" in told(render_live.summary("a", found))) == (decision is not None)
    apart = LiveChannel(1, "agent", "bonafide", 0.1, WHOLE, (), 2.0)
    assert of_voice(summary(decision="uncertain", channel="agent", channels=(apart,)).after(WHOLE)) == UNJUDGED


def told(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_partial_spoof_is_told_with_its_place() -> None:
    """As a green line alone would not explain the exit code."""
    place: dict[str, Any] = {"partially_spoofed": True, "suspicious": (Stretch(4.0, 8.0, 0.9),)}
    channel: dict[str, Any] = {
        "number": 1, "name": "agent", "label": "bonafide", "score": 0.1, "speech_seconds": 2.0,
    }  # fmt: skip
    recorded, live = ChannelVerdict(chunks=(), **channel, **place), LiveChannel(windows=WHOLE, **channel, **place)
    for text in (
        told(render.audio("a", report(**place), table=False, blocks=False)),
        told(render_live.summary("a", summary(**place))),
        told(render.audio("a", report(channels=(recorded,)), table=False, blocks=False)),
        told(render_live.summary("a", summary(channels=(live,)))),
    ):
        assert "partially spoofed" in text
        assert "0:04.0 to 0:08.0" in text


def test_chunks_without_a_score_are_no_success_and_hide_no_finding() -> None:
    assert Outcome("a", None, report(error_message="chunk_3 could not be scored")).exit_code == UNJUDGED
    assert Outcome("a", None, report(label="spoof", error_message="chunk_3 could not be scored")).exit_code == SPOOF


def test_live_speech_without_a_verdict_is_no_success_and_hides_no_finding() -> None:
    assert of_voice(summary(audio_seconds=6.0)) == UNJUDGED
    assert of_voice(summary(audio_seconds=6.0, label="spoof")) == SPOOF


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, GENUINE),
        ({"decision": "bonafide"}, GENUINE),
        ({"decision": "uncertain"}, UNJUDGED),
        ({"reason": "dark"}, UNJUDGED),
        ({"decision": "spoof"}, SPOOF),
        ({"decision": "spoof", "reason": "dark"}, SPOOF),
        ({"label": "fake", "decision": "uncertain"}, SPOOF),
    ],
)
def test_of_a_photo(fields: dict[str, Any], code: int) -> None:
    told: dict[str, Any] = {
        "label": "live", "score": 0.2, "confidence": 0.8, "threshold": 0.5, "model": MODEL, "request_id": "r",
        "calibrated": True, "reason": "", "faces": (),
    }  # fmt: skip
    assert Outcome("a", None, FaceReport(**(told | fields))).exit_code == code
