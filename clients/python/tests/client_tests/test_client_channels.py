"""Verdicts on channels: from messages to results, documents and lines, and the choice on its way out."""

import io
from typing import Any

import pytest
from rich.console import Console

from bonafide_client import convert
from bonafide_client.cli import documents, render
from bonafide_client.cli.arguments import parse
from bonafide_client.cli.outcome import Outcome
from bonafide_client.errors import Internal
from bonafide_client.proto import audio_analyzer_pb2 as audio


def chunk(score: float, label: str, channel: str) -> audio.ChunkResult:
    return audio.ChunkResult(chunk_id="chunk_0", score=score, label=label, end_time_seconds=4.0, channel=channel)


def message(**fields: Any) -> audio.AnalyzeAudioResponse:
    agent = audio.ChannelVerdict(
        number=0, name="agent", score=0.25, label="bonafide", chunks=[chunk(0.25, "bonafide", "agent")], llr=-1.0
    )
    caller = audio.ChannelVerdict(
        number=1,
        name="caller",
        score=0.75,
        label="spoof",
        decision="uncertain",
        conditions=["noise"],
        chunks=[chunk(0.75, "spoof", "caller")],
    )
    summary = audio.AnalyzeAudioResponse(
        label="spoof", score=0.75, chunks=caller.chunks, channel="caller", channels=[agent, caller]
    )
    summary.MergeFrom(audio.AnalyzeAudioResponse(**fields))
    return summary


def test_each_channel_has_its_verdict() -> None:
    report = convert.audio_report(message())
    assert (report.channel, report.is_spoof) == ("caller", True)
    agent, caller = report.channels
    assert (agent.name, agent.is_spoof, agent.llr, agent.decision) == ("agent", False, -1.0, None)
    assert (caller.number, caller.decision, caller.conditions, caller.is_spoof) == (1, "uncertain", ("noise",), True)
    assert [each.channel for each in caller.chunks] == ["caller"]


def test_nonsense_about_a_channel_is_refused() -> None:
    wrong = audio.ChannelVerdict(name="third", label="perhaps")
    with pytest.raises(Internal):
        convert.audio_report(message(channels=[wrong]))


def test_the_document_is_that_of_the_service() -> None:
    document = documents.outcome_document(Outcome("call.wav", None, convert.audio_report(message())))
    assert document["channel"] == "caller"
    agent, caller = document["channels"]
    assert (agent["name"], agent["llr"], agent["decision"], caller["conditions"]) == ("agent", -1.0, "", ["noise"])
    assert set(caller) - {"score"} <= {field.name for field in audio.ChannelVerdict.DESCRIPTOR.fields}
    assert [each["channel"] for each in caller["chunks"]] == ["caller"]


@pytest.mark.parametrize("table", [True, False])
def test_each_channel_is_shown(table: bool) -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(render.audio("call.wav", convert.audio_report(message()), table=table, blocks=False))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "channel agent: bonafide, score 0.250" in text
    assert "channel caller: spoof, score 0.750" in text
    assert text.count("chunk") == 1
    assert text.count("0:04.0") == (2 if table else 0)
    assert ", channel caller" in text


@pytest.mark.parametrize("word", ["auto", "mix", "separate", "0", "12"])
@pytest.mark.parametrize("flag", ["--channel-mode", "--channels"])
def test_the_choice_on_the_command_line(flag: str, word: str) -> None:
    assert parse(["audio", "call.wav", flag, word]).channel_mode == word
    assert parse(["audio", "call.wav"]).channel_mode == "auto"


@pytest.mark.parametrize("word", ["left", "-1", "", "1.0", "99999"])
def test_a_wrong_choice_is_told_at_once(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(["audio", "call.wav", f"--channel-mode={word}"])
    assert refused.value.code == 2
    assert "auto, mix, separate" in capsys.readouterr().err
