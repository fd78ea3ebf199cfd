"""The bundled speech detector gives silero's own values, whatever the engine, the batch and the lengths in it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from lab.training.data.voice_audio import decode
from lab.training.speech import silero_model, silero_weights
from models.silero import SileroGraph
from models.speech import FRAME_SAMPLES, WEIGHTS, VoiceActivityDetector
from tests.models.checkpoints import options, windows

SAMPLES = Path(__file__).parents[2] / "data/objects/samples"
WINDOW = 64_000


def spoken(name: str) -> list[NDArray[np.int16]]:
    """The whole windows of a sample."""
    samples = (decode(SAMPLES / name) * 32767).astype(np.int16)
    return [samples[start : start + WINDOW] for start in range(0, len(samples) - WINDOW, WINDOW)]


@pytest.fixture(scope="module")
def sounds() -> NDArray[np.int16]:
    """Real speech, synthetic speech, and what is neither."""
    return np.stack(spoken("call.mp3") + spoken("call_spoof.mp3") + windows())


@pytest.fixture(scope="module")
def silero(sounds: NDArray[np.int16]) -> NDArray[np.float32]:
    """Silero's own result for each frame of the sounds, computed as by its authors: one frame at a time."""
    model = silero_model()
    samples = torch.from_numpy(sounds).to(torch.float32) / 32768
    starts = range(0, WINDOW, FRAME_SAMPLES)
    model.reset_states()
    with torch.inference_mode():
        frames = [model(samples[:, start : start + FRAME_SAMPLES], 16_000) for start in starts]
        answers: NDArray[np.float32] = torch.cat(frames, dim=1).numpy()
    return answers


@pytest.fixture(scope="module", params=["torch", "openvino"])
def finder(request: pytest.FixtureRequest, workspace: Path) -> VoiceActivityDetector:
    return VoiceActivityDetector.load(options(workspace, engine=request.param))


def test_the_bundled_weights_are_those_of_the_package() -> None:
    bundled = load_file(WEIGHTS)
    theirs = silero_weights()
    assert bundled.keys() == theirs.keys()
    assert all(torch.equal(bundled[name], theirs[name]) for name in theirs)


def test_every_frame_gets_sileros_own_number(sounds: NDArray[np.int16], silero: NDArray[np.float32]) -> None:
    with torch.inference_mode():
        ours = SileroGraph.load(WEIGHTS)(torch.from_numpy(sounds)).numpy()
    assert ours.shape == (len(sounds), 125)
    assert silero.max() > 0.9
    assert silero.min() < 0.1
    np.testing.assert_allclose(ours, silero, atol=2e-4)


def test_the_share_is_that_of_sileros_frames(
    finder: VoiceActivityDetector, sounds: NDArray[np.int16], silero: NDArray[np.float32]
) -> None:
    # A frame that lies on the threshold may fall on either side of it.
    np.testing.assert_allclose(finder.speech_ratios(list(sounds)), (silero >= 0.5).mean(axis=1), atol=1 / 125)


def test_speech_is_found_and_nothing_else(finder: VoiceActivityDetector) -> None:
    assert (finder.speech_ratios(spoken("call.mp3")) > 0.5).all()
    assert (finder.speech_ratios(spoken("call_spoof.mp3")) > 0.5).all()
    assert (finder.speech_ratios([*windows(), np.zeros(WINDOW, np.int16)]) < 0.05).all()


def test_the_share_is_of_the_whole_window(finder: VoiceActivityDetector) -> None:
    whole = spoken("call.mp3")[0]
    half = np.concatenate([whole[: WINDOW // 2], np.zeros(WINDOW // 2, np.int16)])
    all_of_it, first_half, second = finder.speech_ratios([whole, whole[: WINDOW // 2], half]).tolist()
    assert second == pytest.approx(first_half / 2, abs=0.05)
    assert second < all_of_it


def test_neither_company_nor_length_changes_a_share(finder: VoiceActivityDetector) -> None:
    voice = spoken("call.mp3")[1]
    items = [voice[:length] for length in (WINDOW, 16_000, 700, FRAME_SAMPLES, 1, 48_000, 31_999)] * 2
    together = finder.speech_ratios(items)
    np.testing.assert_allclose(together, [finder.speech_ratios([item])[0] for item in items], atol=1e-6)


def test_what_is_no_window_gets_nan_and_harms_nobody(finder: VoiceActivityDetector) -> None:
    voice = spoken("call.mp3")[0]
    bad = [None, "x", voice.astype(np.float32), voice[None], voice[:0], np.zeros(10**7, np.int16)]
    shares = finder.speech_ratios([voice, *bad, voice])  # type: ignore[list-item]
    assert np.isnan(shares[1:-1]).all()
    assert shares[0] == shares[-1] == finder.speech_ratios([voice])[0]
    assert finder.speech_ratios([]).shape == (0,)


def test_it_runs_in_fp32_whatever_the_voice_model_runs_in(workspace: Path) -> None:
    finder = VoiceActivityDetector.load(options(workspace, precision="auto"))
    assert finder._engine.precision == "fp32"
    assert len(finder.version) == 12
