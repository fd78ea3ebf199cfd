"""The gauge of drift over HTTP with the bundled model: silent for what it was fitted to, raised by a narrow codec."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.audio.reader import AudioLimits
from bonafide.settings import Settings
from lab.line.conditions import conditions
from lab.line.recording import Line
from models.calibration import score_counts
from models.configured import load_options, settings_for
from models.voice_model import VoiceSpoofModel
from tests.bonafide.fakes import LocalRemote

SAMPLES = Path(__file__).parents[3] / "data/objects/samples"
CALLS = {"call.mp3": False, "call_modern.mp3": True, "call_spoof.mp3": True}
PASSES = 2


def drift(version: str, codec: str) -> float | None:
    return REGISTRY.get_sample_value(
        "bonafide_score_drift", {"task": "voice", "version": version, "transport": "http", "codec": codec}
    )


@pytest.mark.slow
async def test_a_narrow_codec_raises_the_gauge_and_the_unaltered_stream_does_not(tmp_path: Path) -> None:
    narrow = next(each for each in conditions() if each.name == "amr")
    model = VoiceSpoofModel.load("bundled", load_options("voice", settings_for("voice")))
    remote = LocalRemote()
    known: dict[bytes, float] = {}

    def judge(window: NDArray[np.int16]) -> float:
        key = window.tobytes()
        if key not in known:
            known[key] = float(model.score([window])[0])
        return known[key]

    remote.judge = judge
    remote.model = model.info.to_dict()
    api = HttpApi()
    settings = Settings(objects_dir=tmp_path, drift_recent=20, min_speech_ratio=0)
    limits = AudioLimits.from_settings(settings)
    clean = {name: (SAMPLES / name).read_bytes() for name in CALLS}

    async def scored(media: dict[str, bytes]) -> dict[str, list[float]]:
        found = {}
        for name, data in media.items():
            answer = (await client.post("/detect_audio", content=data)).json()
            found[name] = [chunk["score"] for chunk in answer["chunks"]]
        return found

    async def serve() -> App:
        app = App(settings, voice=remote, face=remote)
        await app.voice_runner.probe()
        return app

    api.app = await serve()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        found = await scored(clean)
        scores = np.array([score for each in found.values() for score in each])
        spoof = np.array([CALLS[name] for name, each in found.items() for _ in each])
        assert Counter(spoof.tolist()).keys() == {True, False}
        # The same model, as if it had been calibrated on these recordings.
        calibrated = replace(model.info, version="calibrated", fitted_scores=score_counts(scores, spoof))
        remote.model = calibrated.to_dict()
        await api.app.close()
        api.app = await serve()
        for _ in range(PASSES):
            await scored(clean)
        narrowed = {name: Line(narrow).send(data, limits) for name, data in clean.items()}
        for _ in range(PASSES):
            await scored(narrowed)
    await api.app.close()
    unaltered, altered = drift("calibrated", "mp3"), drift("calibrated", "wav")
    assert unaltered is not None
    assert altered is not None
    assert unaltered < 0.05
    assert altered > 0.25
