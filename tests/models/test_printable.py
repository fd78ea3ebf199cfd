"""What strangers wrote, in messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.errors import InvalidRequest
from models.errors import BadManifest
from models.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with blanks and ümlauts 音", "plain, with blanks and ümlauts 音"),
        ("two\r\nlines", r"two\r\nlines"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_any_text_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


def test_errors_are_printable() -> None:
    error = InvalidRequest("no field 'a\nb'")
    assert (error.message, str(error)) == (r"no field 'a\nb'",) * 2
    assert str(BadManifest("a\nb")) == r"a\nb"
