from hypothesis import given
from hypothesis import strategies as st

from scan.selection import Selection
from scan.source import Entry


def entry(key: str, modified: float = 100.0, etag: str = "e") -> Entry:
    return Entry(key, etag, 1, modified)


def test_all_belong_to_it_by_default() -> None:
    assert Selection().takes(entry("2024/a.wav"))


def test_one_pattern_has_to_fit_and_reaches_over_folders() -> None:
    selection = Selection(include=["*.wav", "2024/*"])
    assert [key for key in ("a.wav", "x/y/b.wav", "2024/c.mp3", "d.mp3") if selection.takes(entry(key))] == [
        "a.wav",
        "x/y/b.wav",
        "2024/c.mp3",
    ]


def test_older_objects_are_left_out_but_not_those_that_are_missing() -> None:
    selection = Selection(since=100.0)
    assert selection.takes(entry("a", 100.0))
    assert not selection.takes(entry("a", 99.9))
    assert selection.takes(entry("named and gone", 0.0, etag=""))


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_sample_has_all_of_a_smaller_one(key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    if Selection(sample=small).takes(entry(key)):
        assert Selection(sample=large).takes(entry(key))


def test_a_sample_is_about_as_large_as_asked() -> None:
    taken = sum(Selection(sample=0.1).takes(entry(f"call-{index}.wav")) for index in range(10_000))
    assert 900 < taken < 1_100
