import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.security.keys import KEY_PREFIX, KeyStore, main, new_key, parse
from scripts.local_service import ROOT
from tests.bonafide.security.open_files import no_file_can_be_opened


def test_a_key_is_found_by_itself_alone() -> None:
    (first, first_line), (second, second_line) = new_key("first"), new_key("second", 600)
    store = KeyStore(f"# callers\n\n{first_line}\n  {second_line}  # the batch job\n")
    assert (found := store.find(first)) is not None
    assert (found.name, found.calls_per_minute) == ("first", None)
    assert (found := store.find(second)) is not None
    assert (found.name, found.calls_per_minute) == ("second", 600)
    for wrong in ("", first[:-1], first + "x", first.upper(), first_line.split()[1], "\ud800", "x" * 100_000):
        assert store.find(wrong) is None


def test_keys_are_long_random_and_fit_every_transport() -> None:
    made = {new_key("name")[0] for _ in range(100)}
    assert len(made) == 100
    for key in made:
        assert re.fullmatch(KEY_PREFIX + r"[A-Za-z0-9_-]{43}", key)  # 256 bits; a header, a token, a shell word


def test_nothing_but_the_hash_is_kept() -> None:
    key, line = new_key("name")
    assert key not in line
    assert key.removeprefix(KEY_PREFIX) not in repr(KeyStore(line).__dict__)


@pytest.mark.parametrize(
    "line",
    [
        "bonafide_lfSecretSecretSecret",
        "name bonafide_lfSecretSecretSecret",
        "name sha256:abc",
        f"name sha256:{'0' * 64} 0",
        f"name sha256:{'0' * 64} -5",
        f"name sha256:{'0' * 64} 5 6",
        f"two words sha256:{'0' * 64}",
        f"name md5:{'0' * 64}",
    ],
)
def test_a_wrong_line_is_named_and_not_shown(line: str) -> None:
    good = new_key("good")[1]
    with pytest.raises(ValueError, match="line 3") as wrong:
        parse(f"# keys\n{good}\n{line}\n")
    assert "Secret" not in str(wrong.value)


def test_two_keys_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse(new_key("name")[1] + "\n" + new_key("name")[1])


@given(st.text())
def test_any_text_is_refused_or_holds_no_key(text: str) -> None:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if any(lines):  # nobody guesses a hash
        with pytest.raises(ValueError, match="line"):
            parse(text)
    else:
        assert parse(text) == []


@pytest.mark.parametrize("text", ["", "\n# nobody yet\n"])
def test_no_key_at_all_is_no_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody could call"):
        KeyStore(text)
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ValueError, match="nobody could call"):
        KeyStore(tmp_path / "keys")
    with pytest.raises(OSError, match="none"):
        KeyStore(tmp_path / "none")


def test_the_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys"
    (first, first_line), (second, second_line) = new_key("first"), new_key("second")
    file.write_text(first_line)
    store = KeyStore(file, look_s=0)
    assert store.find(second) is None
    file.write_text(f"{first_line}\n{second_line}\n")
    assert store.find(first) is not None
    assert store.find(second) is not None
    file.write_text(f"\n{second_line}\n")
    assert store.find(first) is None

    with caplog.at_level(logging.ERROR):
        file.write_text(f"{second_line}\n{first}\n")  # a key where its line belongs
        assert store.find(second) is not None
        file.unlink()
        assert store.find(second) is not None
        file.write_text("\n")
        assert store.find(second) is not None
        file.write_text(second_line[:40])
        assert store.find(second) is not None
    assert len(caplog.records) == 4
    assert first not in "".join(str(record.__dict__) for record in caplog.records)

    file.write_text("# everybody's key was taken away\n")
    assert store.find(second) is None


def test_a_key_that_was_taken_away_while_no_file_could_be_opened_does_not_stay(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    (kept, kept_line), (revoked, revoked_line) = new_key("kept"), new_key("revoked")
    file.write_text(f"{kept_line}\n{revoked_line}\n")
    store = KeyStore(file, look_s=0)
    file.write_text(kept_line)
    with no_file_can_be_opened():
        assert store.find(revoked) is not None
    assert store.find(revoked) is None
    assert store.find(kept) is not None


def test_a_file_that_is_being_rewritten_takes_no_key_away(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    lines = [new_key(name) for name in ("first", "second")]
    file.write_text("".join(f"{line}\n" for _, line in lines))
    store = KeyStore(file, look_s=0.2)
    time.sleep(0.2)
    with file.open("w") as writing:
        for _, line in lines:
            for part in (line[:20], line[20:], "\n"):  # at any of these points it ends
                writing.write(part)
                writing.flush()
                time.sleep(0.15)
                assert all(store.find(key) is not None for key, _ in lines)
    file.write_text(f"{lines[0][1]}\n")
    time.sleep(0.5)
    assert [store.find(key) is not None for key, _ in lines] == [True, False]


def test_the_command_shows_the_key_and_prints_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "bank-a", "--calls-per-minute", "600"]) == 0
    out, err = capsys.readouterr()
    (key,) = re.findall(KEY_PREFIX + r"\S+", err)
    assert key not in out
    assert (found := KeyStore(out).find(key)) is not None
    assert (found.name, found.calls_per_minute) == ("bank-a", 600)


@pytest.mark.parametrize("arguments", [["new", "two words"], ["new", ""], ["new", "a", "--calls-per-minute", "-1"], []])
def test_the_command_refuses_what_it_could_not_read_again(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert KEY_PREFIX not in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["0", "-1", "1000000000"])
def test_a_limit_that_no_line_can_have_is_named(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """0 was a key without a limit of its own, which 0 calls a minute are not."""
    with pytest.raises(SystemExit):
        main(["new", "bank-a", f"--calls-per-minute={limit}"])
    out, err = capsys.readouterr()
    assert not out
    assert "limit is 1 to" in err


def test_the_command_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bonafide.security.keys", "new", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert parse(done.stdout)[0].name == "x"
