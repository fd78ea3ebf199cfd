import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.base64_text import decode_base64


@pytest.mark.parametrize(
    "written",
    [
        base64.encodebytes,  # a line break after each 76 characters, and a last one, as Android's default
        lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
        lambda data: b" " + base64.b64encode(data) + b"\n",
        base64.urlsafe_b64encode,
        lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
        lambda data: base64.b64encode(data).rstrip(b"="),
        lambda data: b"data:application/octet-stream;base64," + base64.b64encode(data),
        lambda data: b"data:audio/pcm;rate=16000;base64," + base64.encodebytes(data),
    ],
    ids=["lines", "CRLF", "surrounded", "URL-safe", "URL-safe unpadded", "unpadded", "data URL", "data URL of lines"],
)
@given(data=st.binary(max_size=200))
def test_base64_as_programs_write_it(written: Callable[[bytes], bytes], data: bytes) -> None:
    assert decode_base64(written(data).decode()) == data


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AAAAAA=", "AA==AA==", "AA=A", "=AAA", "A!AA", "äöü", "\udc80", "data:,AAAA", "data:base64,AAAA",
     "data:audio/wav;base64", "data:audio/wav;base64,A", "data:" + "x" * 300 + ";base64,AAAA"],
)  # fmt: skip
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_base64(text)


@given(st.text())
def test_nothing_else_comes_of_wild_text(text: str) -> None:
    try:
        data = decode_base64(text)
    except ValueError:
        return
    assert decode_base64(base64.b64encode(data).decode()) == data
