"""From a path on the command line to files that exist."""

import json
from pathlib import Path

import pytest

from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.trials import BONAFIDE, DataError, Dataset, Trial, chosen_split, task_of
from lab.training.data import manifest


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_asvspoof_2019_as_it_is_unpacked(tmp_path: Path) -> None:
    protocol = tmp_path / "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"
    found = tmp_path / "LA/ASVspoof2019_LA_eval/flac/LA_E_1.flac"
    touch(protocol, found)
    protocol.write_text("LA_0079 LA_E_1 - A07 spoof\n")
    dataset = read_dataset(protocol)
    assert dataset == Dataset("ASVspoof 2019", (Trial(found, "A07", "LA_0079"),))


def test_media_folder_elsewhere_and_another_suffix(tmp_path: Path) -> None:
    protocol = tmp_path / "keys/trial_metadata.txt"
    touch(protocol, tmp_path / "media/deep/DF_E_1.wav")
    protocol.write_text("A DF_E_1 nocodec asvspoof A14 spoof notrim eval vocoder - - - -\n")
    with pytest.raises(DataError, match=r"1 of 1 files do not exist.*--media"):
        read_dataset(protocol)
    assert read_dataset(protocol, tmp_path / "media").trials[0].path == tmp_path / "media/deep/DF_E_1.wav"


def test_of_two_files_with_the_name_of_a_list_none_is_guessed(tmp_path: Path) -> None:
    listed = tmp_path / "trial_metadata.txt"
    listed.write_text("s a - A07 spoof\ns b - - bonafide\n")
    touch(*(tmp_path / name for name in ("flac/a.flac", "flac/b.flac", "amr/a.wav", "amr/c.wav")))
    with pytest.raises(DataError, match=r"a may be .*; name the folder of one of them with --media"):
        read_dataset(listed)
    assert [trial.path.name for trial in read_dataset(listed, tmp_path / "flac").trials] == ["a.flac", "b.flac"]


def test_a_list_that_gives_a_file_both_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.csv").write_text("file,speaker,label\n0.wav,A,spoof\n0.wav,A,bona-fide\n")
    touch(tmp_path / "0.wav")
    with pytest.raises(DataError, match=r"0\.wav is listed as bona fide and as spoof"):
        read_dataset(tmp_path)


def test_in_the_wild_by_folder_or_file(tmp_path: Path) -> None:
    touch(tmp_path / "0.wav")
    (tmp_path / "meta.csv").write_text("file,speaker,label\n0.wav,A,spoof\n")
    assert read_dataset(tmp_path) == read_dataset(tmp_path / "meta.csv")
    assert read_dataset(tmp_path).trials[0].path == tmp_path / "0.wav"


def test_celeba_paths_begin_where_data_lies(tmp_path: Path) -> None:
    photo = tmp_path / "CelebA_Spoof/Data/test/7/live/1.png"
    labels = tmp_path / "CelebA_Spoof/metas/intra_test/test_label.json"
    touch(photo, labels)
    labels.write_text(json.dumps({"Data/test/7/live/1.png": [0] * 44}))
    assert read_dataset(labels).trials == (Trial(photo, BONAFIDE, "7"),)
    listed = labels.with_suffix(".txt")
    listed.write_text("Data/test/7/live/1.png 0\n")
    assert read_dataset(listed).trials == read_dataset(labels).trials


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_manifest(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / "a.wav")
    item = manifest.Item(tmp_path / "a.wav", "spoof", "s", "debian:x", "MIT", "flite", "dev")
    manifest.write([item], tmp_path / f"m{suffix}")
    expected = Trial(tmp_path / "a.wav", "flite", "s", "debian:x", "dev")
    assert read_dataset(tmp_path / f"m{suffix}") == Dataset("manifest", (expected,))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_files_of_nobody_known_are_not_of_one_person(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    touch(*paths)
    manifest.write(
        [manifest.Item(path, "spoof", "", "x", "MIT", "flite", "dev") for path in paths], tmp_path / f"m{suffix}"
    )
    assert [trial.subject for trial in read_dataset(tmp_path / f"m{suffix}").trials] == list(map(str, paths))


def test_a_broken_manifest_is_told_by_row(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label\na.wav,genuine\n")
    with pytest.raises(DataError, match="its first line: it lacks subject, source, licence, attack, split"):
        read_dataset(tmp_path / "m.csv")
    (tmp_path / "m.jsonl").write_text("5\n")
    with pytest.raises(DataError, match="row 1: not an object of fields"):
        read_dataset(tmp_path / "m.jsonl")


def test_a_byte_order_mark_before_a_list_is_no_part_of_it(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    rows = "path,label,subject,source,licence,attack,split\na.wav,spoof,s,x,MIT,flite,dev\n"
    (tmp_path / "m.csv").write_text(rows, encoding="utf-8-sig")
    assert len(read_dataset(tmp_path / "m.csv").trials) == 1
    (tmp_path / "meta.csv").write_text("file,speaker,label\nb.wav,S,bona-fide\n", encoding="utf-8-sig")
    assert len(read_dataset(tmp_path / "meta.csv").trials) == 1


@pytest.mark.parametrize("names", [("live", "spoof"), ("bonafide", "spoof"), ("real", "fake"), ("REAL", "Fake")])
def test_folders(tmp_path: Path, names: tuple[str, str]) -> None:
    bonafide, spoof = (tmp_path / name for name in names)
    touch(bonafide / "deep/1.JPG", bonafide / "notes.txt", spoof / "2.png", spoof / "print/glossy/3.png")
    touch(spoof / "-/0.png")  # which stands for bona fide elsewhere
    trials = read_dataset(tmp_path).trials
    assert [(trial.path.name, trial.attack) for trial in trials] == [
        ("1.JPG", BONAFIDE), ("0.png", "unnamed"), ("2.png", "unnamed"), ("3.png", "print"),
    ]  # fmt: skip
    assert len({trial.subject for trial in trials}) == 4


def test_what_a_folder_leaves_out_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path / "live/1.3gp", tmp_path / "live/2.awb", tmp_path / "spoof/3.wav", tmp_path / "linked/4.wav")
    (tmp_path / "spoof/A07").symlink_to(tmp_path / "linked")
    assert [trial.path.name for trial in read_dataset(tmp_path).trials] == ["1.3gp", "2.awb", "3.wav"]
    touch(tmp_path / "live/5.gsm", tmp_path / "live/6.GSM", tmp_path / "spoof/list", tmp_path / "spoof/.DS_Store")
    caplog.clear()
    read_dataset(tmp_path)
    assert caplog.messages == [
        f"left out of {tmp_path}, by their endings: 2 .gsm, 1 link to a folder, 1 without an ending"
    ]


def test_folders_without_any_file_that_is_known_by_its_ending(tmp_path: Path) -> None:
    touch(tmp_path / "live/1.gsm", tmp_path / "spoof/2.gsm")
    with pytest.raises(DataError, match=r"holds no recording or photo .*: 2 \.gsm"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("names", [("live",), ("spoof",), ("live", "bonafide", "spoof"), ()])
def test_folders_that_do_not_tell_the_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="exactly one folder"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"x,y\n1,2\n", "columns x, y are not known"),
        ("a.txt", b"hello\n", "no known list"),
        ("a.txt", b"", "no known list"),
        ("a.jsonl", b"", "empty"),
        ("a.txt", b"\xff\xfe\x00", "no text"),
        ("a.jsonl", b"\xff\xfe\x00", "no text"),
    ],
)
def test_files_that_are_no_list(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path / name)


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        read_dataset(tmp_path / "absent")


def test_missing_files_are_left_out_only_when_asked(tmp_path: Path) -> None:
    touch(tmp_path / "0.wav")
    (tmp_path / "meta.csv").write_text("file,speaker,label\n0.wav,A,spoof\n1.wav,B,bona-fide\n")
    with pytest.raises(DataError, match="1 of 2 files"):
        read_dataset(tmp_path)
    dataset = read_dataset(tmp_path, allow_missing=True)
    assert [trial.path.name for trial in dataset.trials] == ["0.wav"]
    assert "1 files missing" in dataset.kind


def many(spoof: int, bonafide: int, split: str = "") -> Dataset:
    attacks = ["flite"] * spoof + [BONAFIDE] * bonafide
    return Dataset("x", tuple(Trial(Path(f"{n}.wav"), attack, str(n), split=split) for n, attack in enumerate(attacks)))


def test_sample_keeps_the_proportion_and_is_the_same_every_time() -> None:
    dataset = many(900, 100)
    drawn = sample(dataset, 50)
    assert sum(trial.spoof for trial in drawn.trials) == 45
    assert len(drawn.trials) == 50
    assert drawn == sample(dataset, 50)
    assert sample(dataset, 5000) is dataset
    assert {trial.spoof for trial in sample(dataset, 2).trials} == {True, False}


@pytest.mark.parametrize(("bonafide", "spoof", "limit"), [(5, 5, 3), (5, 5, 7), (99, 1, 2), (1, 99, 2), (6, 3, 4)])
def test_a_sample_has_as_many_trials_as_it_was_asked_for(bonafide: int, spoof: int, limit: int) -> None:
    drawn = sample(many(bonafide, spoof), limit)
    assert len(drawn.trials) == limit
    assert {trial.spoof for trial in drawn.trials} == {True, False}


def test_splits_must_be_chosen() -> None:
    dataset = Dataset("x", many(2, 2, "dev").trials + many(3, 3, "test").trials)
    assert len(chosen_split(dataset, "test").trials) == 6
    assert chosen_split(dataset, "all") is dataset
    with pytest.raises(DataError, match=r"dev, test: choose one with --split"):
        chosen_split(dataset, None)
    with pytest.raises(DataError, match="no split 'train'; it has dev, test"):
        chosen_split(dataset, "train")
    assert chosen_split(many(1, 1), None) == many(1, 1)


def test_task_is_told_from_suffixes() -> None:
    voices, faces = Trial(Path("a.FLAC"), "-", ""), Trial(Path("a.png"), "-", "")
    assert (task_of([voices]), task_of([faces])) == ("voice", "face")
    for mixed in ([voices, faces], [Trial(Path("a.bin"), "-", "")]):
        with pytest.raises(DataError, match="--task"):
            task_of(mixed)


def test_files_without_an_ending_are_what_the_others_are() -> None:
    copy, faces = Trial(Path("3f1a"), "-", ""), Trial(Path("a.png"), "-", "")
    assert task_of([copy, faces]) == "face"
    with pytest.raises(DataError, match=r"names without an ending.*--task"):
        task_of([copy])
