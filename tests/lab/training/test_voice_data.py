import re
from pathlib import Path

import numpy as np
import pytest

from lab.line.samples import RATE, resample
from lab.training.data import voice
from lab.training.data.manifest import Item, check_split
from lab.training.data.voice import HELD_OUT, SIZES
from lab.training.data.voice_audio import WINDOW, load, save, trim, windows
from lab.training.data.voice_channel import channel
from lab.training.data.voice_copies import COPIES, griffin_lim
from lab.training.data.voice_sources import DEV_LANGUAGES, SOURCES, TEST_LANGUAGES, split_of_language
from lab.training.data.voice_tts import VOICES
from lab.training.voice_windows import FOUR, fours, normalise, vary


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """A buzz with a moving pitch and pauses; enough of a voice for these tests."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    return (0.1 * buzz * (np.sin(2 * np.pi * 1.3 * time) > -0.6)).astype(np.float32)


def test_no_language_is_on_two_sides() -> None:
    assert not DEV_LANGUAGES & TEST_LANGUAGES
    assert {split_of_language(language) for language in ("fr", "da", "ru")} == {"train", "dev", "test"}


def test_the_sample_recording_is_no_training_source() -> None:
    assert all(source.package.name != "pywhispercpp" for source in SOURCES)


def test_synthetic_voices_are_on_one_side_and_held_out_ones_only_in_test() -> None:
    assert len({voice.subject for voice in VOICES}) == len(VOICES)
    families = {voice.family for voice in VOICES} | set(COPIES)
    assert families >= HELD_OUT
    assert len(HELD_OUT) == 2
    assert all(voice.split == "test" for voice in VOICES if voice.family in HELD_OUT)


def test_copies_stay_on_their_speakers_side(tmp_path: Path) -> None:
    sides = {"train": "a", "dev": "b", "test": "c"}
    real = [
        Item(tmp_path / f"dry/bonafide/p/{who}/0.wav", "bonafide", f"p/{who}", "s", "l", "-", side)  # type: ignore[arg-type]
        for side, who in sides.items()
    ]
    for item in real:
        save(speech(4, seed=len(item.subject)), item.path)
    tasks = [t for t in voice._copy_tasks(real, tmp_path, SIZES) if t.args[0] in ("lpc", "griffin-lim")]  # type: ignore[attr-defined]
    made = [item for task in tasks for item in task()]
    check_split([*real, *made], HELD_OUT)
    assert {(item.attack, item.split) for item in made} == {
        ("lpc", "train"),
        ("lpc", "dev"),
        ("lpc", "test"),
        ("griffin-lim", "test"),
    }
    assert all(item.path.exists() and item.label == "spoof" for item in made)


@pytest.mark.parametrize("seed", range(12))
def test_the_recording_chain_keeps_shape_and_range(seed: int) -> None:
    wet = channel(speech(4), np.random.default_rng(seed))
    assert wet.shape == (WINDOW,)
    assert wet.dtype == np.float32
    assert np.isfinite(wet).all()
    assert np.abs(wet).max() <= 1
    # Nothing is digitally silent afterwards, and nothing reaches the top of the band.
    spectrum = np.abs(np.fft.rfft(wet * np.hanning(WINDOW))) ** 2
    assert spectrum[WINDOW * 7600 // RATE :].sum() < 0.01 * spectrum.sum()


def test_both_classes_go_through_the_same_chain(tmp_path: Path) -> None:
    """The chain is a function of the samples and the draw; the class is no input."""
    save(speech(4), tmp_path / "x.wav")
    samples = load(tmp_path / "x.wav")
    first, second = (vary(samples, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    copy = griffin_lim(samples, np.random.default_rng(0))
    for seed in range(6):
        real = channel(samples, np.random.default_rng(seed))
        fake = channel(copy, np.random.default_rng(seed))
        # The same band and the same level came out for both.
        assert np.isclose(np.sqrt((real**2).mean()), np.sqrt((fake**2).mean()), rtol=0.25)


def test_windows_are_whole_and_trimmed() -> None:
    clips = [np.pad(speech(1.5, seed), (8000, 24000)) for seed in range(9)]
    made = list(windows(clips, np.random.default_rng(0)))
    assert [window.shape for window in made] == [(WINDOW,)] * len(made)
    assert 2 <= len(made) <= 3
    assert all((np.abs(window) > 1e-3).mean() > 0.5 for window in made)


def test_trim_cuts_ends_and_long_pauses() -> None:
    voice_part = speech(1)
    silent = np.zeros(RATE * 2, np.float32)
    length = len(trim(np.concatenate([silent, voice_part, silent, voice_part, silent])))
    assert 1.5 * RATE < length < 3.2 * RATE
    assert len(trim(silent)) == 0


def test_saved_windows_come_back(tmp_path: Path) -> None:
    samples = speech(4)
    save(samples, tmp_path / "a/b.wav")
    assert np.abs(load(tmp_path / "a/b.wav") - samples).max() < 1e-4


def test_resampling_keeps_length_and_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    half = resample(tone, RATE, 8000)
    assert abs(len(half) - 8000) <= 2
    assert np.argmax(np.abs(np.fft.rfft(half[:8000]))) == pytest.approx(440, abs=1)


def test_normalise_survives_silence() -> None:
    assert np.array_equal(normalise(np.zeros(100, np.float32)), np.zeros(100, np.float32))
    loud = normalise(speech(1))
    assert abs(loud.mean()) < 1e-4
    assert loud.std() == pytest.approx(1, abs=1e-3)


def test_speaker_names_are_read_off_paths() -> None:
    rules = {source.package.name: source.pattern for source in SOURCES}

    def groups(name: str, path: str) -> dict[str, str]:
        match = re.search(rules[name], path)
        return match.groupdict() if match else {}

    assert groups("tuxpaint-stamps-default", "stamps/x/frog_desc_ro.ogg")["language"] == "ro"
    assert groups("klettres-data", "usr/share/klettres/pt_BR/syllab/ba.ogg")["language"] == "pt"
    assert groups("ktuberling-data", "usr/sounds/sr@latin/hat.wav")["language"] == "sr"
    assert groups("fillets-ng-data-nl", "sound/city/nl/mes-v-ano.ogg")["voice"] == "v"
    assert not groups("tuxpaint-stamps-default", "stamps/x/frog.ogg")


def test_fours_hold_the_same_window_recorded_alike() -> None:
    def row(name: str, subject: str, attack: str) -> Item:
        label = "bonafide" if attack == "-" else "spoof"
        return Item(Path(f"/{attack}/{subject}/{name}"), label, subject, "s", "l", attack, "train")  # type: ignore[arg-type]

    items = [row(f"{n}.wav", who, "-") for who in ("a", "b") for n in range(5)]
    items += [row(f"{n}.wav", who, family) for who in ("a", "b") for family in ("lpc", "world") for n in range(3)]
    items += [row(f"{n}.wav", "espeak/de", "espeak") for n in range(4)]
    drawn = list(fours(items, count=10, seed=1))
    # The first ones stay the same however many are asked for: what was recorded of them can be kept.
    assert drawn[:4] == list(fours(items, count=4, seed=1))
    for four in drawn:
        real, copy, spoken, other = (items[index] for index, _ in four)
        assert [int(item.label == "spoof") for item in (real, copy, spoken, other)] == list(FOUR)
        assert (real.attack, real.subject, real.path.name) == ("-", copy.subject, copy.path.name)
        assert copy.attack in ("lpc", "world")
        assert four[0][1] == four[1][1]
        assert spoken.attack == "espeak"


def test_zeros_at_the_end_are_told() -> None:
    samples = speech(4)
    ends = []
    for seed in range(40):
        wet, share = vary(samples, np.random.default_rng(seed))
        assert wet.shape == (WINDOW,)
        assert not wet[round(share * WINDOW) :].any()
        ends.append(share)
    assert 1 <= sum(share < 1 for share in ends) <= 15
