"""The teacher written into WavLM computes the teacher's features; tested with random weights instead of Whisper's."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from lab.training import voice_front, voice_head, voice_model, voice_teacher
from lab.training.data.manifest import Item
from lab.training.data.voice_audio import WINDOW, save
from lab.training.data.voice_channel import channel
from lab.training.voice_features import FourFeatures, front_features, write_fours
from lab.training.voice_windows import FOUR, SPOOF_CLASS, normalise
from models.statistics_wavlm import WavLMForStatistics

SETTINGS = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 6, "intermediate_size": 64,
            "silence_gate": 0.03}  # fmt: skip


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    time = np.arange(WINDOW) / 16000
    windows = []
    for seed in range(6):
        pitch = 100 + 25 * seed + 30 * np.sin(2 * np.pi * 0.6 * time + seed)
        phase = 2 * np.pi * np.cumsum(pitch) / 16000
        buzz = sum(np.sin(n * phase) / n for n in range(1, 25)) * (np.sin(2 * np.pi * (1 + seed / 5) * time) > -0.5)
        windows.append(normalise(channel(buzz.astype(np.float32), np.random.default_rng(seed))))
    return torch.from_numpy(np.stack(windows))


@pytest.fixture(scope="module")
def teacher() -> WhisperEncoder:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=384,
        encoder_layers=1,
        encoder_attention_heads=6,
        encoder_ffn_dim=64,
        max_source_positions=400,
        activation_function="gelu",
    )
    encoder = WhisperEncoder(config)
    encoder.train(False)
    with torch.no_grad():
        # As large as in the real one, where they carry most of the layers' input.
        encoder.conv1.weight *= 3
        encoder.conv2.weight *= 3
    return encoder


@pytest.fixture(scope="module")
def student(teacher: WhisperEncoder, speech: torch.Tensor) -> WavLMForStatistics:
    model = voice_model.build(SETTINGS, seed=0)
    assert voice_front.install(model, teacher, speech[:4]) < 0.2
    model.train(False)
    return model


def test_the_front_hears_what_the_teacher_hears(
    student: WavLMForStatistics, teacher: WhisperEncoder, speech: torch.Tensor
) -> None:
    with torch.inference_mode():
        truth = voice_teacher.hidden(teacher, voice_teacher.LogMel(centred=False)(speech), positions=False)[0]
        heard = student.wavlm.feature_extractor(speech).transpose(1, 2)
        heard = student.wavlm.feature_projection(heard)[0]
    # The student's convolutions have no padding, so its first frame is the teacher's second.
    truth = truth[:, 1 : 1 + heard.shape[1]]
    # The mean over channels is what every layer norm behind it removes.
    difference = (heard - heard.mean(-1, keepdim=True)) - (truth - truth.mean(-1, keepdim=True))
    error = difference.square().mean((1, 2)) / truth.var((0, 1)).mean()
    assert (error[:4] < 0.25).all()
    # The last two buzz higher than anything in the fit; even there it must stay sane.
    assert (error[4:] < 0.8).all()


def test_silence_does_no_harm(student: WavLMForStatistics) -> None:
    with torch.inference_mode():
        silent = student(torch.zeros(1, WINDOW)).logits
    assert torch.isfinite(silent).all()


def test_batches_do_not_change_a_score(student: WavLMForStatistics, speech: torch.Tensor) -> None:
    with torch.inference_mode():
        together = student(speech[:3]).logits
        alone = torch.cat([student(window[None]).logits for window in speech[:3]])
    assert torch.allclose(together, alone, atol=1e-4)


def test_saved_in_halves_loaded_in_whole(student: WavLMForStatistics, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    voice_model.save(student, folder)
    loaded = WavLMForStatistics.from_pretrained(folder)
    assert loaded.dtype == torch.float32
    assert loaded.config.id2label == {0: "bonafide", 1: "spoof"}
    assert (folder / "model.safetensors").stat().st_size < 2.2 * sum(p.numel() for p in student.parameters())


def test_the_head_learns_which_side_is_which(student: WavLMForStatistics, speech: torch.Tensor) -> None:
    torch.manual_seed(0)
    noise = torch.randn(6, WINDOW)
    samples = torch.cat([speech, noise])
    truth = torch.tensor([1 - SPOOF_CLASS] * 6 + [SPOOF_CLASS] * 6)
    features, spectrum = front_features(student, samples)
    batch = {"features": features, "spectrum": spectrum, "labels": truth}
    count, _ = voice_head.fit(student, [batch], ridge=0.01)
    student.train(False)
    with torch.inference_mode():
        predicted = student(samples).logits.argmax(-1)
    assert count == 12
    assert (predicted == truth).all()


def test_heard_once_is_as_good_as_heard_again(student: WavLMForStatistics, speech: torch.Tensor) -> None:
    """Training behind the front is training of the model that ships, but for bfloat16."""
    student.train(False)
    truth = torch.tensor([0, 1, 0, 1, 0, 1])
    with torch.inference_mode():
        whole = student(speech).logits
        behind = voice_model.Layers(student)(*front_features(student, speech), truth)["logits"]
    assert torch.allclose(whole, behind, atol=0.02 * float(whole.abs().max()))


def test_fours_are_heard_once_and_a_stopped_hearing_goes_on(
    student: WavLMForStatistics, speech: torch.Tensor, tmp_path: Path
) -> None:
    items = []
    for number, (attack, subject) in enumerate([("-", "a"), ("lpc", "a"), ("espeak", "espeak/de"), ("-", "b")]):
        path = tmp_path / attack / subject / "0000.wav"
        save((speech[number].numpy() / 20).astype(np.float32), path)
        label = "bonafide" if attack == "-" else "spoof"
        items.append(Item(path, label, subject, "s", "l", attack, "train"))  # type: ignore[arg-type]

    def heard(folder: str) -> np.ndarray:
        write_fours(student, items, count=3, seed=5, workers=0, folder=tmp_path / folder)
        features: np.ndarray = np.load(tmp_path / folder / "features.npy")
        return features

    whole = heard("whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    for name in ("features", "spectrum", "speech"):
        kept = np.load(tmp_path / f"stopped/{name}.npy", mmap_mode="r+")
        kept[1:] = 0
        kept.flush()
    assert np.array_equal(heard("stopped"), whole)
    with pytest.raises(ValueError, match="written for 3 fours, not 4"):
        write_fours(student, items, count=4, seed=5, workers=0, folder=tmp_path / "whole")
    crops = FourFeatures(tmp_path / "whole", crop=50)
    assert len(crops) == 3
    assert crops[0]["features"].shape == (4, 50, 384)
    assert crops[0]["spectrum"].shape == (4, 104, voice_front.FILTERS)
    assert crops[0]["labels"].tolist() == list(FOUR)
    # Where they begin, frames and spectra are of the same moment.
    uncut = FourFeatures(tmp_path / "whole", crop=len(student.front(speech[:1])[0][0]), kept=[2])
    assert len(uncut) == 1
    assert uncut[0]["spectrum"].shape[1] == student.front(speech[:1])[1].shape[1]
