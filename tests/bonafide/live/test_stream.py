"""One running live session: outputs in order, none lost, bounded waiting, and every way it can end."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonafide.audio.mono import Block
from bonafide.calls import Call
from bonafide.errors import Internal, ModelChanged, TooLarge, Unavailable
from bonafide.live.input_decoder import AudioInputDecoder
from bonafide.live.limits import LiveConfig
from bonafide.live.messages import Audio, Failed, Flush, Input, QueuedReply, Refused, WindowResults
from bonafide.live.scoring import SlowReader
from bonafide.live.session import Ending
from bonafide.live.summary import LiveSummary
from tests.bonafide.fakes import INFO, MEMBERS, LocalRemote
from tests.bonafide.live.conversation import Conversation, audio, conversation, level, live_sessions
from tests.media import encode, speech_like


def scores(output: object) -> list[float | None]:
    assert isinstance(output, WindowResults)
    return [None if verdict.score is None else round(verdict.score, 2) for verdict in output.verdicts]


async def ended(talk: Conversation) -> LiveSummary:
    async with asyncio.timeout(30):
        await talk.running
    assert talk.running.result() is talk.outputs[-1]
    return talk.running.result()


async def test_each_message_that_asks_for_an_answer_gets_one_in_its_turn() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.say(
            audio(0.2, 0.5, answer=True),
            QueuedReply(lambda: "pong"),
            audio(0.2, 0.5, answer=True),
            audio(0.6, 2.25, answer=True),
            Flush(),
            Flush(),
        )
        talk.end()
        summary = await ended(talk)
        first, pong, second, third, fourth, fifth, _ = talk.outputs
        assert (scores(first), first.waiting_s, first.waiting_samples) == ([], 0.5, 8_000)
        assert pong == "pong"
        assert scores(second) == [0.2]
        assert scores(third) == [0.6, 0.6]
        assert scores(fourth) == [0.6]
        assert (scores(fifth), fifth.waiting_s) == ([], 0.0)
        assert [each.index for each in summary.windows] == [0, 1, 2, 3]
        assert (summary.audio_s, summary.judged_s, summary.ending) == (3.25, 3.25, Ending.END)


async def test_pushed_windows_come_as_they_are_judged_and_audio_without_one_gets_nothing() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.say(audio(0.2, 0.5), audio(0.2, 0.5), audio(0.6, 3.0))
        talk.end()
        summary = await ended(talk)
        pushed = [score for output in talk.outputs[:-1] for score in scores(output)]
        assert pushed == [0.2, 0.6, 0.6, 0.6]
        assert summary.score == pytest.approx(0.5, abs=0.01)


async def test_windows_and_the_summary_name_the_members_scores() -> None:
    remote = LocalRemote()
    remote.model = INFO | MEMBERS
    remote.members = lambda item: (0.25, float(np.mean(item != 0)))
    async with conversation(remote) as talk:
        talk.say(audio(0.2, 1.0), audio(0.6, 3.0))
        talk.end()
        summary = await ended(talk)
    pushed = [verdict for output in talk.outputs[:-1] for verdict in output.verdicts]
    assert [each.member_scores["one"] for each in pushed] == [0.25] * 4
    assert [each.member_scores["two"] for each in summary.windows] == pytest.approx([0.2, 0.6, 0.6, 0.6], abs=0.01)
    assert summary.member_scores == pytest.approx({"one": 0.25, "two": 0.5}, abs=0.01)


async def test_a_session_ends_when_its_model_is_replaced() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        talk.say(audio(0.2, 1.0, answer=True))
        while not talk.outputs:
            await asyncio.sleep(0.01)
        remote.model = INFO | {"version": "another"}
        talk.say(audio(0.9, 1.0, answer=True))
        summary = await ended(talk)
        refused = talk.outputs[1]
        assert isinstance(refused, WindowResults)
        assert isinstance(refused.error, ModelChanged)
        assert [span.index for span in refused.unjudged] == [1]
        assert [verdict.index for verdict in summary.windows] == [0]
        assert summary.ending is Ending.GOING_AWAY


async def test_what_a_transport_holds_back_is_judged_when_the_service_ends_a_session() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.rest.append(Audio(audio(0.6, 0.5).blocks, last=True))
        talk.say(audio(0.2, 1.0, answer=True))
        await talk.wait_for(lambda: bool(talk.outputs))
        talk.stream.drain()
        summary = await ended(talk)
        assert [each.end_s for each in summary.windows] == [1.0, 1.5]
        assert (summary.ending, len(talk.outputs)) == (Ending.GOING_AWAY, 2)


@pytest.mark.parametrize(("idle_s", "ending"), [(60.0, Ending.GOING_AWAY), (0.001, Ending.IDLE)])
@pytest.mark.parametrize("heard", [True, False])
async def test_a_message_that_is_being_decoded_when_a_session_ends_is_decoded(
    idle_s: float, ending: Ending, heard: bool
) -> None:
    async with live_sessions(LocalRemote(), idle_s=idle_s) as sessions:
        with sessions.open(Call.within(60)) as stream:
            intake = AudioInputDecoder(stream)
            intake.configure(encoding="container")
            seconds: list[float] = []

            async def inputs() -> AsyncGenerator[Input, None]:
                if ending is Ending.GOING_AWAY:
                    asyncio.get_running_loop().call_soon(stream.drain)
                blocks = await intake.samples(encode(speech_like(1.0, 48_000), 48_000, "webm"))
                seconds.append(sum(len(block.samples) / block.rate for block in blocks))
                if heard:
                    yield Audio(blocks)
                await asyncio.Event().wait()

            async def rest() -> AsyncGenerator[Input, None]:
                yield Audio(await intake.rest(), last=True)

            async def send(output: object) -> None:
                pass

            async with asyncio.timeout(30):
                summary = await stream.run(inputs(), send, rest)
            assert seconds == pytest.approx([1.0], abs=0.05)
            assert summary.audio_s == pytest.approx(seconds[0] if heard else 0.0, abs=0.01)
            assert summary.ending is ending


async def test_the_last_seconds_are_judged_when_a_session_ends() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.say(audio(0.2, 0.6))
        talk.end()
        summary = await ended(talk)
        assert [(each.end_s, round(each.score or 0, 2)) for each in summary.windows] == [(0.6, 0.2)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), max_size=10))
async def test_as_many_answers_as_were_asked_for(messages: list[tuple[float, bool]]) -> None:
    async with conversation(LocalRemote()) as talk:
        for seconds, answer in messages:
            talk.say(audio(0.5, seconds, answer=answer), QueuedReply(lambda: "next"))
        talk.end()
        summary = await ended(talk)
        groups: list[list[object]] = [[]]
        for output in talk.outputs[:-1]:
            groups.append([]) if output == "next" else groups[-1].append(output)
        for (_, answer), group in zip(messages, groups, strict=False):
            assert not answer or len(group) == 1
        sequences = [v.index for group in groups for judged in group for v in judged.verdicts]  # type: ignore[attr-defined]
        assert sequences == list(range(len(sequences)))
        assert [each.index for each in summary.windows][: len(sequences)] == sequences


async def test_audio_that_cannot_be_taken_is_refused_and_the_session_goes_on() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.say(Audio([Block(np.array([np.nan], np.float32), 16_000)], answer=True))
        talk.say(Audio([Block(np.zeros(8, np.float32), 1)]))
        talk.say(audio(0.4, 1.0, answer=True))
        talk.end()
        await ended(talk)
        assert [output.error.code for output in talk.outputs[:2]] == ["unreadable_media", "invalid_request"]
        assert all(isinstance(output, Refused) for output in talk.outputs[:2])
        assert scores(talk.outputs[2]) == [0.4]


async def test_integers_in_floats_are_judged_as_what_they_are_and_told() -> None:
    async with conversation(LocalRemote()) as talk:
        plain = level(0.4, 1.0)
        for samples in (plain, plain * np.float32(32_768)):
            talk.say(Audio([Block(samples, 16_000)], True))
        talk.end()
        summary = await ended(talk)
        assert [round(window.score or 0, 2) for window in summary.windows] == [0.4, 0.4]
        assert summary.warnings == (
            "1.0 s hold samples far outside -1..1; they were taken for integers and divided by 32768",
        )


async def test_what_a_container_shows_is_told() -> None:
    sound = speech_like(3.0, 48_000)
    async with conversation(LocalRemote()) as talk:
        container = talk.stream.begin_container()
        talk.say(Audio(await container.feed(encode(np.concatenate([sound, -sound]), 48_000, "webm"))))
        talk.end()
        (warning,) = (await ended(talk)).warnings
        assert warning.startswith("the channels cancel each other out for 3.0 s")


async def test_windows_that_get_no_score_are_named_and_the_next_ones_get_theirs() -> None:
    remote = LocalRemote()
    remote.errors = [OSError("gone"), OSError("gone")]
    async with conversation(remote) as talk:
        talk.say(audio(0.4, 2.0, answer=True), audio(0.4, 1.0, answer=True))
        talk.end()
        summary = await ended(talk)
        first, second, _ = talk.outputs
        assert (first.verdicts, [span.index for span in first.unjudged]) == ((), [0, 1])
        assert isinstance(first.error, Unavailable)
        assert [each.index for each in second.verdicts] == [2]
        assert (summary.audio_s, summary.judged_s) == (3.0, 1.0)


async def test_seconds_without_a_score_are_named_in_the_summary_also_where_the_last_window_is_lost() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        talk.say(audio(0.4, 2.0, answer=True))
        await talk.wait_for(lambda: bool(talk.outputs))
        remote.errors = [OSError("gone"), OSError("gone")]
        talk.say(audio(0.9, 0.5))
        talk.end()
        summary = await ended(talk)
        assert (summary.label, summary.judged_s, summary.audio_s) == ("bonafide", 2.0, 2.5)
        assert summary.warnings == ("no score for the seconds 1.5-2.5: the test model cannot be reached",)


async def test_where_the_model_failed_and_nothing_has_a_score_there_is_no_verdict() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        remote.errors = [OSError("gone"), OSError("gone")]
        talk.say(audio(0.9, 0.5))
        talk.end()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await asyncio.wait_for(talk.running, 30)
        (output,) = talk.outputs
        assert isinstance(output, Failed)


async def test_a_window_the_model_cannot_judge_does_not_count() -> None:
    async with conversation(LocalRemote(judge=lambda window: np.nan if window.any() else 0.1)) as talk:
        talk.say(audio(0.5, 1.0, answer=True), audio(0.0, 1.0, answer=True))
        talk.end()
        summary = await ended(talk)
        assert [span.index for span in talk.outputs[0].unjudged] == [0]
        assert isinstance(talk.outputs[0].error, Internal)
        assert summary.score == pytest.approx(0.1)


async def test_windows_without_speech_are_not_scored() -> None:
    async with conversation(LocalRemote(speech=lambda window: 0.0)) as talk:
        talk.say(audio(0.9, 2.0, answer=True))
        talk.end()
        summary = await ended(talk)
        assert scores(talk.outputs[0]) == [None, None]
        assert (summary.score, summary.label, summary.judged_s, summary.audio_s) == (None, "no_speech", 0.0, 2.0)


@pytest.mark.parametrize("min_speech_ratio", [0.1, 0.0])
@pytest.mark.parametrize(
    ("samples", "rate", "label"), [(1_039, 16_000, "no_speech"), (1, 48_000, "no_speech"), (1_040, 16_000, "spoof")]
)
async def test_a_session_too_short_for_the_model_is_one_without_speech(
    samples: int, rate: int, label: str, min_speech_ratio: float
) -> None:
    remote = LocalRemote(judge=lambda window: 0.9 if len(window) >= 1_040 else np.nan)
    remote.model = remote.model | {"min_samples": 1_040}
    async with conversation(remote, min_speech_ratio=min_speech_ratio) as talk:
        talk.say(Audio([Block(np.full(samples, 0.5, np.float32), rate)], False))
        talk.end()
        summary = await ended(talk)
        assert [each.label for each in summary.windows] == [label]
        assert (summary.label, summary.score) == (label, None if label == "no_speech" else pytest.approx(0.9))


async def test_one_long_message_with_overlap_is_judged_piece_by_piece() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        talk.stream.session.configure(LiveConfig(4.0, 3.75))
        talk.say(audio(0.5, 40.0, answer=True))
        talk.end()
        summary = await ended(talk)
        assert len(talk.outputs) == 2
        assert len(talk.outputs[0].verdicts) == len(summary.windows) == 145
        assert summary.judged_s == pytest.approx(40.0)


async def test_who_sends_faster_than_is_judged_waits() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        remote.open.clear()
        talk.say(*[audio(0.5)] * 100)
        await talk.wait_for(lambda: talk.unread < 90)
        await asyncio.sleep(0.2)
        assert talk.unread > 60
        remote.open.set()
        talk.end()
        assert len((await ended(talk)).windows) == 100


async def test_so_does_who_asks_more_than_they_read() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.hold.clear()
        talk.say(*[QueuedReply(lambda: "pong")] * 2_000)
        await talk.wait_for(lambda: talk.unread < 1_900)
        await asyncio.sleep(0.2)
        assert talk.unread > 1_000
        talk.hold.set()
        talk.end()
        await ended(talk)
        assert talk.outputs.count("pong") == 2_000


async def test_who_does_not_read_is_cut_off() -> None:
    async with conversation(LocalRemote(), send_timeout_s=0.1) as talk:
        talk.hold.clear()
        talk.say(audio(0.5))
        with pytest.raises(SlowReader):
            await ended(talk)


async def test_who_says_nothing_is_ended() -> None:
    async with conversation(LocalRemote(), idle_s=0.2) as talk:
        talk.say(audio(0.3))
        summary = await ended(talk)
        assert (summary.ending, len(summary.windows)) == (Ending.IDLE, 1)


async def test_who_waits_until_more_can_be_judged_is_not_idle() -> None:
    remote = LocalRemote()
    async with conversation(remote, idle_s=0.2) as talk:
        remote.open.clear()
        talk.say(*[audio(0.5)] * 20)
        talk.end()
        await asyncio.sleep(0.4)
        assert talk.unread
        remote.open.set()
        summary = await ended(talk)
        assert (summary.ending, len(summary.windows)) == (Ending.END, 20)


async def test_no_session_outlasts_its_limit() -> None:
    async with conversation(LocalRemote(), max_session_s=3.0) as talk:
        talk.say(*[audio(0.3)] * 9)
        summary = await ended(talk)
        assert (summary.ending, summary.audio_s) == (Ending.SESSION_LIMIT, 4.0)


async def test_what_the_edge_raises_ends_the_session_at_once() -> None:
    remote = LocalRemote()
    async with conversation(remote) as talk:
        remote.open.clear()
        talk.say(audio(0.3), ConnectionResetError("gone"))
        with pytest.raises(ConnectionResetError):
            await ended(talk)
        assert talk.outputs == []


async def test_where_an_error_may_not_end_judging_what_came_before_it_is_judged() -> None:
    broken: list[Exception] = []
    async with conversation(LocalRemote(), broken=broken.append) as talk:
        talk.say(*[audio(0.5)] * 9, TooLarge("a message"), audio(0.5))
        summary = await ended(talk)
        assert [type(each) for each in broken] == [TooLarge]
        assert (summary.ending, summary.audio_s, len(summary.windows)) == (Ending.ERROR, 9.0, 9)


async def test_nor_a_client_who_does_not_read() -> None:
    broken: list[Exception] = []

    def gone(error: Exception) -> None:
        broken.append(error)
        talk.hold.set()

    remote = LocalRemote()
    async with conversation(remote, broken=gone, send_timeout_s=0.5) as talk:
        talk.hold.clear()
        talk.say(*[audio(0.5)] * 9)
        summary = await ended(talk)
        assert [type(each) for each in broken] == [SlowReader]
        assert (summary.ending, summary.audio_s, len(summary.windows)) == (Ending.ERROR, 9.0, 9)


async def test_the_summary_tells_where_to_listen_again() -> None:
    async with conversation(LocalRemote()) as talk:
        talk.say(audio(0.1, 2.0), audio(0.9, 3.0), audio(0.1, 1.0), audio(0.8, 1.0))
        talk.end()
        summary = await ended(talk)
        found = [(each.start_s, each.end_s, round(each.score, 2)) for each in summary.suspicious]
        assert found == [(2.0, 5.0, 0.9), (6.0, 7.0, 0.8)]
