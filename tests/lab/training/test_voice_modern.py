"""The split of modern synthesis: by site and by speaker, whatever a speaker is called on a site."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.training.data import manifest
from lab.training.data.lyra import NoCodec, lyra_dir
from lab.training.data.manifest import Item, check_split
from lab.training.data.voice_audio import WINDOW, load, save
from lab.training.data.voice_modern import (
    REAL_ONLY,
    NoSpeechFolder,
    modern_items,
    one_window,
    person,
    speech_dir,
    write_windows,
)
from lab.training.voice_windows import corpus, drawing_weights

MIMIC, LARYNX, VOCOS = "github:MycroftAI/mimic3-voices", "github:rhasspy/larynx", "github:gemelo-ai/vocos"
E1 = "github:e1tts/e1tts.github.io"
ARCTIC = "synthetic-mimic3-en_US/cmu-arctic_low/sample_bdl"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("synthetic-Libri-1089", "Libri-1089"),
        (ARCTIC, "ARCTIC-bdl"),
        (ARCTIC, "synthetic-larynx-en-us/cmu_bdl-glow_tts"),
        ("synthetic-mimic3-fr_FR/siwis_low/sample", "synthetic-larynx-fr-fr/siwis-glow_tts"),
        ("synthetic-mimic3-de_DE/thorsten-emotion_low/old/sample_angry", "synthetic-larynx-de-de/thorsten-glow_tts"),
        ("synthetic-mimic3-it_IT/riccardo-fasol_low/sample", "synthetic-larynx-it-it/riccardo_fasol-glow_tts"),
        ("synthetic-mimic3-fr_FR/m-ailabs_low/sample_gilles_g_le_blanc", "synthetic-larynx-x/gilles_le_blanc-glow_tts"),
    ],
)  # fmt: skip
def test_a_voice_is_the_same_on_all_sites(one: str, other: str) -> None:
    assert person(one) == person(other)


def _clip(folder: Path, subject: str, source: str, attack: str = "-", detail: str = "") -> Item:
    name = f"{abs(hash((subject, source, attack)))}.wav"
    return Item(
        folder / name, "bonafide" if attack == "-" else "spoof", subject, source, "CC0", attack, "train", detail
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = [
        _clip(tmp_path, "Libri-1089", VOCOS),
        _clip(tmp_path, "synthetic-Libri-1089", VOCOS, "vocos-vocos"),
        _clip(tmp_path, "Libri-1089", E1),
        _clip(tmp_path, "Libri-2300", E1),
        _clip(tmp_path, "synthetic-Libri-2300", E1, "e1tts-cosyvoice"),
        _clip(tmp_path, "synthetic-LJ", LARYNX, "larynx-larynx-glowtts-hifigan"),
        _clip(tmp_path, "synthetic-larynx-en-us/cmu_bdl-glow_tts", LARYNX, "larynx-larynx-glowtts-hifigan"),
        _clip(tmp_path, ARCTIC, MIMIC, "mimic3-mimic3-vits"),
        _clip(tmp_path, "synthetic-LJ", MIMIC, "mimic3-mimic3-vits"),
        _clip(tmp_path, "LJ", "github:ming024/FastSpeech2"),
        _clip(tmp_path, "x", "github:yistLin/FragmentVC", "fragvc-fragmentvc-adain-autovc", "docs/AdaIN_a.wav"),
        *(_clip(tmp_path, f"Libri-{number}", REAL_ONLY) for number in range(4000, 4060)),
    ]
    rng = np.random.default_rng(0)
    for clip in clips:
        save(np.asarray(rng.normal(0, 0.1, 48_000), np.float32), clip.path)
    manifest.write(clips, tmp_path / "manifest.jsonl")
    return tmp_path


def test_no_voice_and_no_system_is_on_two_sides(folder: Path) -> None:
    items = modern_items(folder)
    check_split(items)
    sides: dict[str, set[str]] = {}
    for item in items:
        sides.setdefault(person(item.subject), set()).add(item.split)
    # The one voice that half of all sites use is told apart where it is tested.
    assert all(len(where) == 1 for where in sides.values())
    kept = {(item.source, item.subject, item.split) for item in items}
    assert (VOCOS, "Libri-1089", "test") in kept
    assert (E1, "Libri-2300", "train") in kept
    assert (MIMIC, "synthetic-LJ", "train") in kept
    assert ("github:ming024/FastSpeech2", "LJ (test sites)", "test") in kept
    for source, subject in ((E1, "Libri-1089"), (LARYNX, "synthetic-LJ"), (MIMIC, ARCTIC)):  # fmt: skip
        assert not any(where == source and who == subject for where, who, _ in kept)
    assert {item.attack for item in items if "FragmentVC" in item.source} == {"fragvc-adain"}
    counts = [
        sum(item.source == REAL_ONLY and item.split == side for item in items) for side in ("train", "dev", "test")
    ]
    assert counts[0] > 20
    assert min(counts) > 4


def test_training_gets_windows_and_the_test_split_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    made = write_windows(modern_items(folder), tmp_path / "out")
    for item in made:
        if item.split == "test":
            assert item.path.parent == folder
        else:
            assert load(item.path).shape == (WINDOW,)
    silent = folder / "silent.wav"
    save(np.zeros(48_000, np.float32), silent)
    assert write_windows([replace(made[0], path=silent, split="train")], tmp_path / "out") == []


def test_short_clips_are_repeated_and_long_ones_cut() -> None:
    rng = np.random.default_rng(0)
    short, long = (np.asarray(rng.normal(0, 0.01, count), np.float32) for count in (30_000, 90_000))
    window = one_window(short)
    assert np.array_equal(window[:30_000], window[30_000:60_000])
    assert np.sqrt((window**2).mean()) == pytest.approx(0.07, rel=0.01)
    assert np.corrcoef(one_window(long), long[13_000 : 13_000 + WINDOW])[0, 1] > 0.999


def test_folders_that_are_not_named_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BONAFIDE_SPEECH_DIR", "BONAFIDE_LYRA_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoSpeechFolder, match="BONAFIDE_SPEECH_DIR must name a folder"):
        speech_dir()
    with pytest.raises(NoCodec, match=r"BONAFIDE_LYRA_DIR must name .* no soundstream_encoder\.tflite"):
        lyra_dir()
    monkeypatch.setenv("BONAFIDE_SPEECH_DIR", str(tmp_path))
    with pytest.raises(NoSpeechFolder):
        speech_dir()
    (tmp_path / "manifest.jsonl").write_text("")
    assert speech_dir() == tmp_path


def test_classes_and_corpora_keep_their_shares_of_the_draw() -> None:
    def rows(count: int, subject: str, attack: str = "-") -> list[Item]:
        return [_clip(Path("/d"), subject.format(number), "s", attack) for number in range(count)]

    items = rows(900, "tuxpaint/{0}") + rows(100, "Libri-{0}") + rows(4, "LJ")
    items += rows(400, "espeak/{0}", "espeak") + rows(4, "synthetic-LJ", "mel-gan")
    weights = drawing_weights(items)
    shares = dict.fromkeys(("packages", "Libri", "LJ"), 0.0)
    for item, weight in zip(items, weights, strict=True):
        if item.attack == "-":
            shares[corpus(item.subject)] += weight
    assert shares["packages"] / shares["Libri"] == pytest.approx(3)
    assert shares["Libri"] / shares["LJ"] == pytest.approx(10)
    of_family = [sum(weight for item, weight in zip(items, weights, strict=True) if item.attack == name) for name in
                 ("espeak", "mel-gan")]  # fmt: skip
    assert of_family[0] / of_family[1] == pytest.approx(10)
