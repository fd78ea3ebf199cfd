"""Lines as the public lists have them."""

import json
from pathlib import Path

import pytest

from lab.evaluation import protocols
from lab.evaluation.trials import BONAFIDE, UNNAMED_ATTACK, DataError, Trial

LA_2019 = """LA_0079 LA_T_1138215 - - bonafide
LA_0079 LA_T_1271820 - A01 spoof
"""
LA_2021 = """LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval
LA_0020 LA_E_6866159 none - bonafide bonafide notrim progress
"""
DF_2021 = """LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -
VCC2TM2 DF_E_0003 mp3m4a vcc2018 - bonafide notrim eval bonafide - - - -
"""
ASVSPOOF_5 = """T_4850 T_0000000000 F - - - AC3 A05 spoof -
E_0001\tE_0000000001\tM\tC04\t2\t-\t-\tbonafide\tbonafide\t-
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (
            LA_2019,
            "ASVspoof 2019",
            [
                Trial(Path("LA_T_1138215"), BONAFIDE, "LA_0079"),
                Trial(Path("LA_T_1271820"), "A01", "LA_0079"),
            ],
        ),
        (
            LA_2021,
            "ASVspoof 2021 LA",
            [
                Trial(Path("LA_E_9332881"), "A07", "LA_0009", "alaw", "eval"),
                Trial(Path("LA_E_6866159"), BONAFIDE, "LA_0020", "nocodec", "progress"),
            ],
        ),
        (
            DF_2021,
            "ASVspoof 2021 DF",
            [
                Trial(Path("DF_E_2000011"), "A14", "LA_0023", "nocodec", "progress"),
                Trial(Path("DF_E_0003"), BONAFIDE, "VCC2TM2", "mp3m4a", "eval"),
            ],
        ),
        (
            ASVSPOOF_5,
            "ASVspoof 5",
            [
                Trial(Path("T_0000000000"), "A05", "T_4850", "nocodec"),
                Trial(Path("E_0000000001"), BONAFIDE, "E_0001", "C04"),
            ],
        ),
    ],
)
def test_asvspoof_lists(tmp_path: Path, text: str, kind: str, expected: list[Trial]) -> None:
    assert protocols.asvspoof_kind(text.split("\n")[0].split()) == kind
    assert list(protocols.asvspoof(written(tmp_path, text))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 bonafide notrim eval\n",  # physical access is another task
        "LA_E_0000001 bonafide\n",
        "LA_0001 LA_E_0000001 - A07 fake\n",
        LA_2019 + LA_2021,
    ],
)
def test_other_lines_are_refused_with_their_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"line \d: not a line of an ASVspoof list"):
        list(protocols.asvspoof(written(tmp_path, text)))


def test_in_the_wild(tmp_path: Path) -> None:
    path = written(tmp_path, "file,speaker,label\n0.wav,Alec Guinness,spoof\n4.wav,Christopher Lee,bona-fide\n")
    assert list(protocols.in_the_wild(path)) == [
        Trial(Path("0.wav"), UNNAMED_ATTACK, "Alec Guinness"),
        Trial(Path("4.wav"), BONAFIDE, "Christopher Lee"),
    ]


def test_in_the_wild_with_an_unknown_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: label 'genuine'"):
        list(protocols.in_the_wild(written(tmp_path, "file,speaker,label\n0.wav,A,genuine\n")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,speaker,label,label\n0.wav,A,spoof,bona-fide\n", "'label' more than once"),
        ("label,speaker,file\nspoof,A\n", "line 2: it names no file"),
        ('file,speaker,label\n0.wav,"A,spoof\n1.wav,B,spoof\n', "unexpected end"),
    ],
)
def test_in_the_wild_of_another_form(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        list(protocols.in_the_wild(written(tmp_path, text)))


def annotation(attack: int, spoof: int) -> list[int]:
    return [0] * 40 + [attack, 1, 1, spoof]


def test_celeba_annotations_name_the_species(tmp_path: Path) -> None:
    entries = {
        "Data/test/4980/live/1.png": annotation(0, 0),
        "Data/test/4980/spoof/2.png": annotation(7, 1),
        "Data/test/5001/spoof/3.png": annotation(10, 1),
    }
    assert list(protocols.celeba_annotations(written(tmp_path, json.dumps(entries)))) == [
        Trial(Path("Data/test/4980/live/1.png"), BONAFIDE, "4980"),
        Trial(Path("Data/test/4980/spoof/2.png"), "pc", "4980"),
        Trial(Path("Data/test/5001/spoof/3.png"), "3d-mask", "5001"),
    ]


@pytest.mark.parametrize(
    "values", [annotation(0, 1), annotation(3, 0), annotation(11, 1), annotation(-1, 1), [0, 1], 1]
)
def test_celeba_annotations_that_contradict_themselves(tmp_path: Path, values: object) -> None:
    with pytest.raises(DataError, match=r"1\.png"):
        list(protocols.celeba_annotations(written(tmp_path, json.dumps({"Data/test/1/live/1.png": values}))))


@pytest.mark.parametrize("text", ["[]", "{", '{"live/1.png": [0], "live/1.png": [1]}'])
def test_json_of_another_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"list\.txt"):
        list(protocols.celeba_annotations(written(tmp_path, text)))


def test_celeba_text_list(tmp_path: Path) -> None:
    path = written(tmp_path, "Data/train/1/live/1.png 0\nData/train/2/spoof/2.jpg 1\n")
    assert list(protocols.celeba_list(path)) == [
        Trial(Path("Data/train/1/live/1.png"), BONAFIDE, "1"),
        Trial(Path("Data/train/2/spoof/2.jpg"), UNNAMED_ATTACK, "2"),
    ]
    with pytest.raises(DataError, match="line 1"):
        list(protocols.celeba_list(written(tmp_path, "a.png 2\n")))


@pytest.mark.parametrize(
    "line",
    ["calls/a.wav 1", "a.wav 0", "real/a.wav 1", "Data/train/1/live/1.png 1", "Data/train/1/spoof/1.png 0"],
)
def test_numbers_mean_what_celeba_spoofs_do_only_where_its_folders_say_so(tmp_path: Path, line: str) -> None:
    """In lists of others 1 may as well mean bona fide, and all labels would be inverted without a word."""
    with pytest.raises(DataError, match=line.split()[0]):
        list(protocols.celeba_list(written(tmp_path, f"Data/train/1/live/0.png 0\n{line}\n")))
    name, number = line.split()
    entries = {name: annotation(int(number), int(number))}
    with pytest.raises(DataError, match=name):
        list(protocols.celeba_annotations(written(tmp_path, json.dumps(entries))))
