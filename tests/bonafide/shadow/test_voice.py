"""The shadow of recordings: the same windows, after the answer; and what does not get that far is counted."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonafide.calls import Call
from bonafide.errors import Unavailable
from bonafide.shadow.comparisons import Comparisons
from bonafide.shadow.voice import VoiceShadow
from bonafide.voice_report import AudioReport, report_of
from tests.bonafide.fakes import INFO
from tests.bonafide.shadow.shadowed import Seen, ShadowRemote, comparisons, done, shadow_runner
from tests.bonafide.test_voice import Service, recording, service


@dataclass
class Shadowed:
    voices: Service
    second: ShadowRemote
    work: Comparisons
    seen: Seen

    async def judge(self, data: bytes, request_id: str = "a-call") -> AudioReport:
        return await report_of(self.voices.voice.analyze_bytes(data, Call.within(10, request_id=request_id)))


@asynccontextmanager
async def shadowed(root: Path, second: ShadowRemote, **chosen: Any) -> AsyncIterator[Shadowed]:
    seen = Seen()
    work = comparisons(seen, **chosen)
    shadow = VoiceShadow(work, await shadow_runner(second), threshold=None, timeout_s=10)
    async with service(root, shadow=shadow) as voices:
        yield Shadowed(voices, second, work, seen)
        await work.close()


async def test_the_same_windows_are_scored_and_both_verdicts_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bonafide")
    windows: list[np.ndarray] = []

    def inverted(window: np.ndarray) -> float:
        windows.append(window)
        return 1 - float(np.mean(window != 0))

    async with shadowed(tmp_path, ShadowRemote(inverted)) as running:
        report = await running.judge(recording())
        assert not windows, "the answer was there first"
        await done(running.work)
        assert [len(window) for window in windows] == [64_000] * 5
    assert running.seen.outcomes == {"changed": 1}
    assert running.seen.scores == [(0, 1), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (0.75, 0.25)]
    (line,) = [record for record in caplog.records if record.message == "shadow"]
    fields = vars(line)
    assert (fields["request_id"], fields["task"], fields["outcome"]) == ("a-call", "voice", "changed")
    assert fields["served"] == {
        "model": "test-model",
        "version": INFO["version"],
        "window_samples": None,
        "threshold": 0.5,
        "score": round(report.score or 0, 4),
        "label": "bonafide",
        "scores": [0.0, 0.25, 0.5, 0.75, 0.75],
    }
    assert fields["shadow"] == {
        "model": "second-model",
        "version": "ba9876543210",
        "window_samples": None,
        "threshold": 0.5,
        "score": round(1 - (report.score or 0), 4),
        "label": "spoof",
        "scores": [1.0, 0.75, 0.5, 0.25, 0.25],
    }


async def test_the_shadow_has_its_own_threshold_and_windows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bonafide")
    second = ShadowRemote()
    second.model |= {"threshold": 0.3}
    async with shadowed(tmp_path, second) as running:
        running.voices.remote.model |= {"window_samples": 96_000}
        await running.voices.voice._runner.probe()
        assert (await running.judge(recording())).label == "bonafide"
        await done(running.work)
    assert running.seen.outcomes == {"changed": 1}
    assert running.second.scored == 5
    (line,) = [record for record in caplog.records if record.message == "shadow"]
    assert vars(line)["shadow"]["scores"] == [0.0, 0.25, 0.5, 0.75, 0.75], "of the last 4 s alone"


async def test_a_broken_shadow_changes_no_answer(tmp_path: Path) -> None:
    second = ShadowRemote()
    async with shadowed(tmp_path, second) as running:
        second.errors = [ConnectionError("gone")]
        first = await running.judge(recording())
        await done(running.work)
        assert running.seen.outcomes == {"failed": 1}
        assert not running.voices.voice._shadow._runner.ready  # type: ignore[union-attr]
        again = await running.judge(recording(14))
        assert (first.error_message, again.error_message) == ("", "")
        assert running.seen.outcomes == {"failed": 2}
        assert running.work.hold(10_000_000), "nothing is held for what cannot be scored"


async def test_a_shadow_that_never_answers_delays_nothing(tmp_path: Path) -> None:
    second = ShadowRemote()
    async with shadowed(tmp_path, second, max_bytes=5 * 128_000) as running:
        second.open.clear()
        async with asyncio.timeout(5):
            for seconds in (18, 17, 16):
                assert (await running.judge(recording(seconds))).error_message == ""
        assert running.seen.outcomes == {"dropped": 2}
        second.open.set()
        await done(running.work)
        assert running.seen.outcomes == {"dropped": 2, "agreed": 1}


async def test_scores_from_the_cache_have_no_windows(tmp_path: Path) -> None:
    async with shadowed(tmp_path, ShadowRemote()) as running:
        for _ in range(2):
            await running.judge(recording())
            await done(running.work)
        assert running.seen.outcomes == {"agreed": 1, "cached": 1}
        assert running.work.hold(10_000_000)


async def test_a_call_that_fails_is_not_compared(tmp_path: Path) -> None:
    async with shadowed(tmp_path, ShadowRemote()) as running:
        running.voices.remote.errors = [ConnectionError("gone")]
        with pytest.raises(Unavailable):
            await running.judge(recording())
        assert running.work.pending == 0
        assert not running.seen.outcomes
        assert running.work.hold(10_000_000)


async def test_without_speech_there_is_nothing_to_compare(tmp_path: Path) -> None:
    async with shadowed(tmp_path, ShadowRemote()) as running:
        running.voices.remote.speech = lambda _: 0.0
        assert (await running.judge(recording())).label == "no_speech"
        assert running.work.pending == 0
        assert not running.seen.outcomes


async def test_a_window_without_a_score_is_a_failure(tmp_path: Path) -> None:
    async with shadowed(tmp_path, ShadowRemote(lambda _: float("nan"))) as running:
        await running.judge(recording())
        await done(running.work)
        assert running.seen.outcomes == {"failed": 1}
        assert not running.seen.scores


async def test_what_is_not_of_the_share_is_left_alone(tmp_path: Path) -> None:
    async with shadowed(tmp_path, ShadowRemote(), share=0.0) as running:
        await running.judge(recording())
        assert running.work.pending == running.second.calls == 0
        assert not running.seen.outcomes
