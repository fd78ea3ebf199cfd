"""The evaluation judges a call on two channels as the service does: by the channel with the highest score."""

from pathlib import Path

import numpy as np
import pytest

from lab.evaluation.score_file import ScoreFile
from lab.served import ServedModel
from models.configured import settings_for
from tests.media import speech_like, wav

RATE = 16_000


@pytest.mark.usefixtures("models_in_workspace")
def test_the_worst_channel_stands_for_a_call(tiny_voice: Path, tmp_path: Path) -> None:
    served = ServedModel(str(tiny_voice), "voice", settings_for("voice"))
    parties = [np.rint(np.roll(speech_like(9.0, RATE, seed=seed)[0], 37_001 * seed) * 20_000) for seed in (1, 2)]
    left, right = (each.astype(np.int16) for each in parties)
    call = served.judge_bytes(wav(np.stack([left, right], axis=1), RATE))
    alone = [served.judge_bytes(wav(each, RATE)) for each in (left, right)]
    assert call.channels == (0, 1) * 3
    assert [each.channels for each in alone] == [(), ()]
    scores = [served.combined(each) for each in alone]
    lower, higher = sorted(score for score in scores if score is not None)
    assert higher - lower > 0.005
    # Another batch may round the last digits differently.
    assert served.combined(call) == pytest.approx(higher, abs=0.001)
    assert len(served.judged(call)) == 3

    file = tmp_path / "call.wav"
    file.write_bytes(b"")
    with ScoreFile(tmp_path / "scores.jsonl", served.identity) as kept:
        kept.add(file, call)
    with ScoreFile(tmp_path / "scores.jsonl", served.identity) as kept:
        assert kept.get(file).channels == call.channels
