"""The voice runner's model: what a model is given beyond a chunk is not looked at for speech."""

from pathlib import Path

import numpy as np

from models.configured import WindowScorer
from tests.media import speech_like
from tests.models.checkpoints import options
from tests.models.onnx_files import save, voice_manifest, voice_onnx


def test_the_speech_ratio_is_that_of_the_last_four_seconds(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", voice_onnx(), voice_manifest(window={"samples": 96_000}))
    scorer = WindowScorer.load(str(folder), options(tmp_path))
    chunk = (speech_like(4.0, 16_000)[0] * 20_000).astype(np.int16)
    alone, quiet_before = scorer.score([chunk, np.concatenate([np.zeros(32_000, np.int16), chunk])])
    assert quiet_before.speech_ratio == alone.speech_ratio
    assert quiet_before.score != alone.score
    assert scorer.info.window_samples == 96_000
    bad = scorer.score([np.zeros((), np.int16), chunk])
    assert np.isnan(bad[0].score)
    assert bad[1] == alone
