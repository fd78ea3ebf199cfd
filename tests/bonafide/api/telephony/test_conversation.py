"""How a call ends in the core of all exchanges, on a wire of this process."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bonafide.api.telephony.audiosocket import AudioSocketProtocol, message
from bonafide.api.telephony.conversation import Gone, PhoneConversation
from bonafide.api.telephony.events import Begin, Content, Event, Media, PhoneProtocol, SilentProtocol
from bonafide.api.telephony.fields import address_of
from bonafide.api.telephony.freeswitch import FreeSwitchProtocol
from bonafide.api.telephony.telnyx import TelnyxProtocol
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import BonafideError, Unavailable
from bonafide.evidence.judgement import Judgement
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.scoring import SlowReader
from bonafide.settings import Settings
from tests.bonafide.api.telephony.exchanges import mulaw, pcm, pieces, telnyx_media, telnyx_start
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import live_sessions
from tests.bonafide.live.test_phone_calls import PostedDocuments
from tests.coded import g722
from tests.media import speech_like

SESSION_S = 0.05


class Wire:
    """Brings some contents, and then nothing more; None: the peer ends the connection.

    Attributes:
        sent: what the peer has been told.
        reads: while it is clear, the peer reads nothing.
    """

    def __init__(self, *contents: Content | None) -> None:
        self._contents = list(contents)
        self.sent: list[Content] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def receive(self) -> Content | None:
        if not self._contents:
            await asyncio.Event().wait()
        return self._contents.pop(0)

    async def send(self, content: Content) -> None:
        await self.reads.wait()
        self.sent.append(content)


class BrokenWire(Wire):
    """Fails at the first verdict, before the peer's last words are read.

    Attributes:
        attempts: to send.
    """

    def __init__(self, *contents: Content | None) -> None:
        super().__init__(*contents)
        self.attempts = 0
        self._broken = asyncio.Event()

    async def receive(self) -> Content | None:
        if len(self._contents) == 2:
            await self._broken.wait()
        return await super().receive()

    async def send(self, content: Content) -> None:
        self.attempts += 1
        self._broken.set()
        raise Gone


class FailingProtocol(SilentProtocol):
    """Begins a call, takes one part of its audio, and has a bug."""

    def read(self, content: Content) -> list[Event]:
        if isinstance(content, str):
            raise ZeroDivisionError
        return [Begin("c-1", "", "pcm16", 8_000), Media(content)]


class LongMessage(SilentProtocol):
    """Begins a call, and takes half of a message in more time than a session may last."""

    def read(self, content: Content) -> Iterator[Event]:
        assert isinstance(content, bytes)
        yield Begin("c-1", "", "pcm16", 8_000)
        time.sleep(2 * SESSION_S)
        yield from (Media(piece) for piece in pieces(content, len(content) // 2))


class KeptVerdicts:
    """Records the scores of verdicts."""

    needs_media = signs = True

    def __init__(self) -> None:
        self.scores: list[float | None] = []

    async def record(self, judgement: Judgement, call: Call) -> str:
        self.scores.append(judgement.score)
        return "record"


class FullDisk(KeptVerdicts):
    """Keeps no record of any verdict."""

    async def record(self, judgement: Judgement, call: Call) -> str:
        raise Unavailable("the evidence of the verdict cannot be kept, try again later")


def freeswitch(channels: int) -> FreeSwitchProtocol:
    query = {"call_id": "c-1", "sample_rate": "8000", "channels": str(channels)}
    return FreeSwitchProtocol(address_of(query.items()))


async def served(
    wire: Wire,
    error: type[Exception] | None,
    protocol: PhoneProtocol | None = None,
    remote: LocalRemote | None = None,
    call_id: str = "c-1",
    **options: Any,
) -> tuple[dict[str, Any], list[str]]:
    """Serves a call until this error ends it, or its peer; returns its document, and the states that were posted."""
    posted = PostedDocuments()
    calls = CallVerdicts.from_settings(Settings())
    app = cast(App, SimpleNamespace(calls=calls, webhook=posted))
    async with live_sessions(remote or LocalRemote(), **options) as sessions:
        with sessions.open(Call.within(60)) as stream:
            conversation = PhoneConversation(wire, protocol or freeswitch(1), stream, app)
            with pytest.raises(error) if error else nullcontext():
                await asyncio.wait_for(conversation.run(), 30)
    document = await calls.get(call_id)
    assert document is not None
    await posted.close()
    return json.loads(document), [json.loads(each)["status"] for each in posted.documents]


def outcome(document: dict[str, Any]) -> tuple[str, str, str, float]:
    return document["status"], document["reason"], document["label"], document["audio_seconds"]


async def test_a_peer_that_does_not_read_ends_a_call_that_is_judged_all_the_same() -> None:
    wire = Wire(*pieces(pcm(9, 8_000), 16_000))
    wire.reads.clear()
    kept = KeptVerdicts()
    document, posted = await served(wire, SlowReader, send_timeout_s=0.2, records=kept)
    assert outcome(document) == ("done", "error", "spoof", 9.0)
    assert (kept.scores, document["evidence"]) == ([document["p_spoof"]], "record")
    assert (len(document["windows"]), posted[-1], wire.sent) == (3, "done", [])


async def test_so_does_a_bug_of_ours() -> None:
    document, posted = await served(Wire(pcm(9, 8_000), "text"), ZeroDivisionError, FailingProtocol())
    assert outcome(document) == ("done", "error", "spoof", 9.0)
    assert (len(document["windows"]), posted[-1]) == (3, "done")


async def test_a_call_that_is_cut_off_as_the_process_ends_has_a_last_verdict() -> None:
    remote, posted, calls = LocalRemote(), PostedDocuments(), CallVerdicts.from_settings(Settings())
    app = cast(App, SimpleNamespace(calls=calls, webhook=posted))
    wire = Wire(pcm(4, 8_000))
    async with live_sessions(remote) as sessions:
        with sessions.open(Call.within(60)) as stream:
            serving = asyncio.create_task(PhoneConversation(wire, freeswitch(1), stream, app).run())
            async with asyncio.timeout(30):
                while not wire.sent:
                    await asyncio.sleep(0.01)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
    document = await calls.get("c-1")
    assert document is not None
    assert outcome(json.loads(document)) == ("done", "going_away", "spoof", 4.0)
    assert json.loads(posted.documents[-1])["status"] == "done"
    await posted.close()


async def test_where_the_last_verdict_may_not_be_given_the_running_one_stays() -> None:
    wire = Wire(*pieces(pcm(9, 8_000), 16_000), None)
    document, posted = await served(wire, BonafideError, records=FullDisk())
    assert outcome(document) == ("done", "error", "spoof", 9.0)
    assert ("evidence" in document, posted[-1]) == (False, "done")


async def test_a_peer_that_cannot_be_reached_is_told_nothing_more_and_what_it_has_sent_is_judged() -> None:
    wire = BrokenWire(pcm(4, 8_000), pcm(9, 8_000), None)
    document, _ = await served(wire, None)
    assert outcome(document) == ("done", "end", "spoof", 13.0)
    assert wire.attempts == 1


@pytest.mark.parametrize("channels", [1, 2])
async def test_audio_that_is_not_judged_is_told_in_the_verdict(channels: int) -> None:
    wire = Wire(*(pcm(seconds, 8_000, channels) for seconds in (9, 61, 4, 62)), None)
    document, _ = await served(wire, None, freeswitch(channels))
    assert outcome(document) == ("done", "end", "spoof", 13.0)
    assert "messages not judged: 2, the first: more than 60 s of audio in one message" in document["warnings"]


async def test_so_is_a_long_message_of_a_codec_with_a_state() -> None:
    start = json.loads(telnyx_start(encoding="G722"))
    start["start"]["call_control_id"] = "c-1"
    data = g722(speech_like(4.0))[0]
    messages = [telnyx_media(number + 2, part) for number, part in enumerate([data, data + data, data])]
    wire = Wire(json.dumps(start), *messages, None)
    document, _ = await served(wire, None, TelnyxProtocol(address_of([])), max_message_s=5.0)
    assert outcome(document)[:2] == ("done", "end")
    assert document["audio_seconds"] == pytest.approx(8.0, abs=0.05)
    assert "messages not judged: 1, the first: more than 5 s of audio in one message" in document["warnings"]


async def test_what_comes_behind_a_hangup_is_not_heard() -> None:
    said = [message(0x01, uuid.UUID(int=7).bytes), *(message(0x10, pcm(1, 8_000)),) * 4, message(0x00)]
    wire = Wire(b"".join([*said, message(0x10, pcm(1, 8_000))]))
    document, _ = await served(wire, None, AudioSocketProtocol(), call_id=str(uuid.UUID(int=7)))
    assert outcome(document) == ("done", "end", "spoof", 4.0)


async def test_a_call_that_the_model_failed_on_has_no_verdict_that_nobody_spoke() -> None:
    remote, kept = LocalRemote(), KeptVerdicts()
    remote.errors = [OSError("gone") for _ in range(10)]
    document, posted = await served(Wire(pcm(2, 8_000), None), BonafideError, remote=remote, records=kept)
    assert outcome(document) == ("done", "error", "no_speech", 2.0)
    assert document["warnings"] == ["no score for the seconds 0-2: the test model cannot be reached"]
    assert (kept.scores, posted[-1]) == ([], "done")


def telnyx_call() -> list[str]:
    """A second in messages of 20 ms, of which the fourth is lost."""
    start = json.loads(telnyx_start())
    start["start"]["call_control_id"] = "c-1"
    packets = pieces(mulaw(1), 160)
    return [json.dumps(start), *(telnyx_media(number + 2, packets[number]) for number in range(50) if number != 3)]


@pytest.mark.parametrize(("ending", "end"), [("end", [None]), ("idle", [])])
async def test_what_waits_for_a_lost_message_is_judged_whoever_ends_the_call(ending: str, end: list[None]) -> None:
    wire = Wire(*telnyx_call(), *end)
    document, _ = await served(wire, None, TelnyxProtocol(address_of([])), idle_s=0.5)
    assert outcome(document) == ("done", ending, "spoof", 0.98)
    assert document["warnings"] == ["1 messages of the stream were lost, in 1 gaps"]


async def test_what_was_lost_just_before_the_stop_is_counted_too() -> None:
    stop = json.dumps({"event": "stop", "sequence_number": "54"})
    wire = Wire(*telnyx_call(), stop, telnyx_media(52, pieces(mulaw(1), 160)[0]))
    document, _ = await served(wire, None, TelnyxProtocol(address_of([])))
    assert outcome(document) == ("done", "end", "spoof", 0.98)
    assert document["warnings"] == ["3 messages of the stream were lost, in 2 gaps"]


async def test_the_rest_of_a_message_is_judged_when_the_service_ends_the_call() -> None:
    document, _ = await served(Wire(pcm(2, 8_000)), None, LongMessage(), max_session_s=SESSION_S)
    assert outcome(document) == ("done", "session_limit", "spoof", 2.0)


async def test_what_waits_to_be_mixed_is_judged_when_the_service_ends_the_call() -> None:
    document, _ = await served(Wire(pcm(4.5, 8_000, 2)[:-640]), None, freeswitch(2), idle_s=0.5)
    assert outcome(document) == ("done", "idle", "spoof", 4.48)
