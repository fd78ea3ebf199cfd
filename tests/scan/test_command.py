"""The command line, as far as it does not need Ray."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scan import command
from scan.__main__ import main
from scan.command import listed_keys
from scan.source import WrongUse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "out"], "nowhere is no folder"),
        (["s3://", "--out", "out"], "name a bucket"),
        (["", "--out", "out"], "an archive's address is empty"),
        ([".", "--out", ""], "a result's address is empty"),
        (["report", ""], "a result's address is empty"),
        ([".", "--out", "out", "--keys", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_refused_scan_leaves_nothing_in_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")
    monkeypatch.chdir(tmp_path)
    assert main([".", "--out", "."]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["."],
        [".", "--out", "out", "--sample", "2"],
        [".", "--out", "out", "--scorers", "0"],
        [".", "--out", "out", "--since", "yesterday"],
        ["report"],
    ],
)
def test_what_cannot_be_parsed_ends_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: bonafide-scan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "yesterday is no date such as 2024-03-01"),
        (["--since", "2024-02-30"], "2024-02-30 is no date"),
        (["--scorers", "1e3"], "invalid int value: '1e3'"),
        (["--sample", "half"], "invalid float value: 'half'"),
        (["--sample", "nan"], "a number from 0 to 1"),
    ],
)
def test_a_wrong_word_is_told_in_words_of_its_user(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([".", "--out", "out", *arguments])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"]])
def test_help_names_the_other_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "bonafide-scan" in capsys.readouterr().out


def test_a_list_of_keys_has_one_on_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\ufeffa.wav\r\n\n \nb c .wav \n\u2028d\x0be.wav\nf\rg.wav"
    expected = ["a.wav", "b c .wav ", "\u2028d\x0be.wav", "f\rg.wav"]
    (tmp_path / "keys.txt").write_bytes(text.encode())
    assert listed_keys(str(tmp_path / "keys.txt")) == expected
    for locale in ("utf-8", "latin-1"):
        with (tmp_path / "keys.txt").open(encoding=locale) as file:
            monkeypatch.setattr("sys.stdin", file)
            assert listed_keys("-") == expected


def test_a_list_from_a_pipe_that_does_not_block_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"a.wav\n")
    with open(reading) as pipe, ThreadPoolExecutor(1) as writer:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", pipe)

        def write_the_rest() -> None:
            time.sleep(0.2)
            os.write(writing, b"b.wav\n")
            os.close(writing)

        writer.submit(write_the_rest)
        assert listed_keys("-") == ["a.wav", "b.wav"]


def test_a_list_of_keys_in_another_encoding_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.txt").write_bytes(b"caf\xe9.wav")
    with (tmp_path / "keys.txt").open(encoding="utf-8", errors="surrogateescape") as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(WrongUse, match="- cannot be read"):
            listed_keys("-")


def test_an_interrupted_scan_says_so_and_no_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_scan", interrupted)
    assert main([".", "--out", "out"]) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on\n"
