"""Keys as a file of lines: which lines count, and how a wrong one is told."""

import pytest

from bonafide.errors import InvalidRequest, TooLarge
from bonafide.jobs import key_list
from bonafide.jobs.key_list import listed_keys

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a.wav\nb.wav\n", ["a.wav", "b.wav"]),
        (b"a.wav\r\nb.wav\r\n", ["a.wav", "b.wav"]),
        (b"a.wav", ["a.wav"]),
        (b"\n\r\n  \na.wav\n\n\n b.wav \n", ["a.wav", " b.wav "]),
        (b"b\na\nb\r\nb", ["b", "a"]),
        (BOM + b"a.wav\n", ["a.wav"]),
        ("день/запись.wav\n通话.wav".encode(), ["день/запись.wav", "通话.wav"]),
        ("a\u2028b.wav\nc".encode(), ["a\u2028b.wav", "c"]),
    ],
)
def test_each_line_is_a_key(data: bytes, keys: list[str]) -> None:
    assert listed_keys(data, 5) == keys
    assert listed_keys(bytearray(data), 5) == keys


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a\n\nb\xff\n", 3),
        ("a\n".encode("utf-16"), 1),
        (b"a\nb\rc\n", 2),
        (b"a\nb\x0bc\n", 2),
        ("a\nb\x85c".encode(), 2),
        (b"a\r\n../b\r\n", 2),
        (b"a\nb//c", 2),
        (b"a\n" + b"x" * 1025, 2),
        (b"a" + BOM + b"\n" + b"\x00", 2),
    ],
)
def test_a_wrong_line_is_told_by_its_number(data: bytes, line: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"^line {line}: "):
        listed_keys(data, 5)


@pytest.mark.parametrize("data", [b"", b"\n", BOM, b" \r\n\t\n"])
def test_a_list_without_a_key(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no key"):
        listed_keys(data, 5)


def test_keys_over_the_limit() -> None:
    assert len(listed_keys(b"a\nb\nb\na\n", 2)) == 2
    with pytest.raises(TooLarge, match="more than 2 recordings"):
        listed_keys(b"a\nb\nc\n\xff", 2)


def test_a_key_that_comes_again_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # Millions of lines of one key took ten seconds of a thread, and of all others half their time.
    checked: list[str] = []
    monkeypatch.setattr(key_list, "check_key", checked.append)
    assert listed_keys(b"a\nb\r\n" * 1_000 + b"a", 2) == ["a", "b"]
    assert checked == ["a", "b"]
