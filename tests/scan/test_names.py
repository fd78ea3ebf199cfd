import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bonafide.errors import InvalidRequest
from bonafide.storage.store import check_key
from scan.names import as_text, is_escaped, is_text, key_of_name

SEGMENT = st.lists(st.sampled_from([b"a", b"\xe9", b"\\", b"xe9", "é".encode(), b"."]), min_size=1, max_size=5)
NAMES = st.lists(SEGMENT.map(b"".join), min_size=1, max_size=3).map(lambda segments: os.fsdecode(b"/".join(segments)))


def is_path(name: str) -> bool:
    return not {".", ".."}.intersection(name.split("/"))


@given(NAMES, NAMES)
def test_two_files_have_two_keys(one: str, other: str) -> None:
    assume(is_path(one) and is_path(other))
    assert (key_of_name(one) == key_of_name(other)) == (one == other)


@given(NAMES)
def test_a_key_is_text_and_only_what_was_none_is_escaped(name: str) -> None:
    assume(is_path(name))
    key = key_of_name(name)
    assert is_text(key)
    assert is_escaped(key) is not is_text(name)
    if is_text(name):
        assert key == as_text(name) == name
    else:
        with pytest.raises(InvalidRequest):
            check_key(key)


@pytest.mark.parametrize("key", ["./a.wav", r"a\xe9.wav", r"2024/a\xe9.wav", "2024/./a.wav", r".\xe9/a", ""])
def test_keys_that_are_not_escaped(key: str) -> None:
    assert not is_escaped(key)
