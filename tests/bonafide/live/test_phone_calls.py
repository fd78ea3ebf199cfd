"""Which verdict on a phone call is stored, and which ones are posted; without a socket."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bonafide.cache.memory import MemoryKeyValue
from bonafide.calls import Call
from bonafide.errors import InvalidRequest
from bonafide.evidence.judgement import Judgement, Records
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.phone_calls import PhoneCall, PhoneVerdict
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary
from bonafide.live.webhook import Webhook
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import Conversation, audio, conversation


class NoRecords:
    """Where verdicts are recorded; none is in these tests."""

    needs_media = signs = False

    async def record(self, judgement: Judgement, call: Call) -> str:
        raise AssertionError("no call comes to its end")


class PostedDocuments(Webhook):
    """Records what would be sent."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "")
        self.documents: list[bytes] = []
        self.last: list[bool] = []

    def post(self, document: bytes, *, last: bool = False) -> None:
        self.last.append(last)
        self.documents.append(document)


def encoded(verdict: PhoneVerdict) -> bytes:
    return json.dumps(
        [verdict.done, verdict.label, verdict.p_spoof, verdict.summary.audio_s, verdict.request_id]
    ).encode()


@dataclass
class JudgedCall:
    """A call, its session, and the receivers of its documents."""

    live: Conversation
    call: PhoneCall
    verdicts: CallVerdicts
    webhook: PostedDocuments = field(default_factory=PostedDocuments)

    async def judge(self, share: float, seconds: float) -> list[object]:
        """Judges audio of this P(spoof), updates the call, and returns what is stored."""
        outputs = len(self.live.outputs)
        self.live.say(audio(share, seconds, answer=True))
        await self.live.wait_for(lambda: len(self.live.outputs) > outputs)
        await self.call.update()
        return await self.stored()

    async def hang_up(self) -> LiveSummary:
        self.live.end()
        summary = await self.live.running
        await self.call.finish(summary)
        return summary

    async def stored(self) -> list[object]:
        document = await self.verdicts.get("CA1")
        assert document is not None
        return list(json.loads(document))

    def posted(self) -> list[tuple[bool, str]]:
        return [(done, label) for done, label, *_ in map(json.loads, self.webhook.documents)]


@asynccontextmanager
async def phone_call(*, webhook: bool = True, records: Records | None = None) -> AsyncIterator[JudgedCall]:
    verdicts, posted = CallVerdicts(MemoryKeyValue(10**6, 60), None), PostedDocuments()
    async with conversation(LocalRemote(), records=records) as live:
        hook = posted if webhook else None
        call = PhoneCall("CA1", "MZ1", stream=live.stream, verdicts=verdicts, webhook=hook, encode=encoded)
        yield JudgedCall(live, call, verdicts, posted)
    await posted.close()
    await verdicts.close()


def second_stream(first: JudgedCall, stream: LiveStream) -> PhoneCall:
    return PhoneCall("CA1", "MZ2", stream=stream, verdicts=first.verdicts, webhook=first.webhook, encode=encoded)


async def test_a_call_has_one_stream_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.live.call_streams.LOST_S", 60.0)  # a busy machine
    async with phone_call() as first, conversation(LocalRemote()) as other:
        with pytest.raises(InvalidRequest, match="another stream of this call"):
            second_stream(first, other.stream)
        await first.call.update()
        first.call.close()
        second_stream(first, other.stream)


async def test_a_call_whose_stream_is_lost_goes_on_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with phone_call() as first, conversation(LocalRemote()) as other:
        assert (await first.judge(0.75, 4.0))[1] == "spoof"
        monkeypatch.setattr("bonafide.live.call_streams.LOST_S", 0.0)
        second = second_stream(first, other.stream)
        monkeypatch.undo()
        await second.update()
        summary = await first.live.running
        assert summary.ending is Ending.GOING_AWAY
        await first.call.finish(summary)
        assert first.posted()[-1] == (True, "spoof")
        first.call.close()
        assert (await first.stored())[:2] == [False, "no_speech"]  # of the second
        with pytest.raises(InvalidRequest):
            second_stream(first, first.live.stream)


async def test_a_call_may_come_again_while_what_came_before_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.live.call_streams.LOST_S", 60.0)
    async with phone_call() as first, conversation(LocalRemote()) as other:
        first.live.hold.clear()
        first.live.say(audio(0.75, 4.0, answer=True))
        first.live.end()
        await first.live.wait_for(lambda: math.isinf(first.live.stream.silent_s))
        second_stream(first, other.stream)
        first.live.hold.set()
        assert (await first.live.running).ending is Ending.END


async def test_a_stream_of_which_too_much_waits_to_be_judged_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.live.call_streams.LOST_S", 1e-9)
    async with phone_call() as first, conversation(LocalRemote()) as other:
        first.live.hold.clear()
        first.live.say(*(audio(0.75, 1.0, answer=True) for _ in range(30)))
        await first.live.wait_for(lambda: first.live.unread < 20 and first.live.stream.silent_s == 0.0)
        with pytest.raises(InvalidRequest):
            second_stream(first, other.stream)


async def test_a_call_that_has_begun_has_a_verdict_and_posts_none() -> None:
    async with phone_call() as judged:
        await judged.call.update()
        done, label, p_spoof, seconds, request_id = await judged.stored()
        assert (done, label, p_spoof, seconds) == (False, "no_speech", None, 0.0)
        assert request_id == judged.live.stream.call.request_id
        assert judged.posted() == []


async def test_the_running_verdict_is_stored_while_the_call_lasts_and_that_on_all_of_it_at_the_end() -> None:
    async with phone_call() as judged:
        assert (await judged.judge(0.25, 8.0))[:2] == [False, "bonafide"]
        done, label, running, *_ = await judged.judge(1.0, 8.0)
        assert (done, label) == (False, "spoof")
        summary = await judged.hang_up()
        done, label, p_spoof, seconds, _ = await judged.stored()
        assert (done, label, p_spoof, seconds) == (True, summary.label, summary.score, 16.0)
        assert p_spoof == pytest.approx(0.625, abs=0.01), "the mean of all, and not the smoothed last seconds"
        assert running != pytest.approx(p_spoof, abs=0.05)


async def test_verdicts_are_posted_when_the_label_changes_and_at_the_end() -> None:
    async with phone_call() as judged:
        for share in (0.25, 0.25, 1.0, 1.0, 1.0):
            await judged.judge(share, 8.0)
        await judged.hang_up()
        assert judged.posted() == [(False, "bonafide"), (False, "spoof"), (True, "spoof")]
        assert judged.webhook.last == [False, False, True]
        assert json.loads(judged.webhook.documents[-1]) == await judged.stored()


async def test_a_call_whose_end_could_not_be_judged_ends_with_the_verdict_on_what_was() -> None:
    async with phone_call() as judged:
        await judged.judge(1.0, 16.0)
        assert (await judged.judge(0.0, 8.0))[:2] == [False, "bonafide"]
        verdict = await judged.call.break_off()
        assert (verdict.done, verdict.summary.ending, len(verdict.summary.windows)) == (True, Ending.ERROR, 24)
        done, label, p_spoof, seconds, _ = await judged.stored()
        assert (done, label, seconds) == (True, "spoof", 24.0)
        assert p_spoof == pytest.approx(2 / 3), "the mean of all, and not the smoothed last seconds"
        assert judged.posted()[-1] == (True, "spoof")


async def test_where_verdicts_are_recorded_it_ends_with_the_running_one_which_has_no_record() -> None:
    async with phone_call(records=NoRecords()) as judged:
        await judged.judge(1.0, 16.0)
        running = await judged.judge(0.0, 8.0)
        await judged.call.break_off()
        assert await judged.stored() == [True, *running[1:]]
        assert judged.posted()[-1] == (True, "bonafide")


async def test_without_a_webhook_verdicts_are_stored() -> None:
    async with phone_call(webhook=False) as judged:
        await judged.judge(1.0, 8.0)
        await judged.hang_up()
        assert (await judged.stored())[:2] == [True, "spoof"]
        assert judged.posted() == []
