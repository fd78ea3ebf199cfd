"""The shadow of live sessions: all their windows, when the session has ended, however it ended."""

import pytest

from bonafide.shadow.voice import VoiceShadow
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import audio, conversation
from tests.bonafide.shadow.shadowed import Seen, ShadowRemote, comparisons, done, shadow_runner


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_session_is_compared_when_it_has_ended(leaves: bool) -> None:
    seen, second = Seen(), ShadowRemote(lambda _: 0.9)
    work = comparisons(seen)
    shadow = VoiceShadow(work, await shadow_runner(second), threshold=None, timeout_s=10)
    async with conversation(LocalRemote(), shadow=shadow) as talk:
        talk.say(audio(0.2, 2.0, answer=True), audio(0.6, 1.0, answer=True))
        await talk.wait_for(lambda: len(talk.outputs) == 2)
        assert second.calls == work.pending == 0
        if leaves:
            talk.say(ConnectionResetError("the client has left"))
            with pytest.raises(ConnectionResetError):
                await talk.running
        else:
            talk.end()
            await talk.running
        await done(work)
    assert seen.outcomes == {"changed": 1}
    assert [(round(served, 2), shadow) for served, shadow in seen.scores] == [(0.2, 0.9), (0.2, 0.9), (0.6, 0.9)]


async def test_a_session_without_a_window_is_not_compared() -> None:
    seen = Seen()
    work = comparisons(seen)
    shadow = VoiceShadow(work, await shadow_runner(ShadowRemote()), threshold=None, timeout_s=10)
    async with conversation(LocalRemote(), shadow=shadow) as talk:
        talk.end()
        await talk.running
        assert work.pending == 0
    assert not seen.outcomes
