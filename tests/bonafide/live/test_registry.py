"""All live sessions: the number admitted, and that a drain ends each of them."""

import asyncio
from contextlib import ExitStack

import pytest

from bonafide.calls import Call
from bonafide.errors import Overloaded, Unavailable
from bonafide.live.session import Ending
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import Conversation, Recorder, audio, live_sessions


async def test_a_bounded_number_is_let_in() -> None:
    recorder = Recorder()
    async with live_sessions(LocalRemote(), recorder, max_sessions=2) as sessions:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(sessions.open(Call.within(9)))
            assert sessions.full
            with pytest.raises(Overloaded), sessions.open(Call.within(9)):
                pass
        assert (sessions.active, recorder.sessions, recorder.most_sessions) == (0, 0, 2)
        with sessions.open(Call.within(9)):
            assert not sessions.full


async def test_each_caller_has_a_share() -> None:
    async with live_sessions(LocalRemote(), max_sessions_per_caller=1) as sessions:
        with sessions.open(Call.within(9), "key-1"), sessions.open(Call.within(9), "key-2"):
            with pytest.raises(Overloaded, match="yours"), sessions.open(Call.within(9), "key-1"):
                pass
            with sessions.open(Call.within(9)), sessions.open(Call.within(9)):
                assert sessions.active == 4
        with sessions.open(Call.within(9), "key-1"):
            pass


async def test_a_caller_finds_its_own_sessions() -> None:
    async with live_sessions(LocalRemote()) as sessions:
        with sessions.open(Call.within(9), "key-1") as first, sessions.open(Call.within(9), "key-2"):
            with sessions.open(Call.within(9), "key-1") as second:
                assert sessions.of("key-1") == [first, second]
            assert sessions.of("key-1") == [first]
            assert sessions.of("") == []


async def test_leaving_gives_everybody_their_last_word() -> None:
    async with live_sessions(LocalRemote()) as sessions:
        with ExitStack() as stack:
            talks = [Conversation(stack.enter_context(sessions.open(Call.within(9)))) for _ in range(3)]
            for talk in talks:
                talk.say(audio(0.7, 1.5))
            await talks[0].wait_for(lambda: all(talk.outputs for talk in talks))
            leaving = asyncio.create_task(sessions.drain(30))
            for talk in talks:
                async with asyncio.timeout(30):
                    summary = await talk.running
                assert (summary.ending, len(summary.windows)) == (Ending.GOING_AWAY, 2)
        await leaving
        with pytest.raises(Unavailable), sessions.open(Call.within(9)):
            pass


async def test_leaving_does_not_wait_for_ever() -> None:
    remote = LocalRemote()
    async with live_sessions(remote) as sessions:
        remote.open.clear()
        with sessions.open(Call.within(9)) as stream:
            talk = Conversation(stream)
            talk.say(audio(0.7))
            await talk.wait_for(lambda: remote.calls == 1)
            await sessions.drain(0.05)
            assert sessions.active == 1
            talk.running.cancel()
