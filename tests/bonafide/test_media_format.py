import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.drift.watch import FORMATS
from bonafide.media_format import media_format
from tests.media import encode_image, photo, wav


@given(st.binary(max_size=80))
def test_any_bytes_have_a_word_of_the_bounded_set(data: bytes) -> None:
    assert media_format(data) in FORMATS | {"other"}


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp")])
def test_photos(kind: str, name: str) -> None:
    assert media_format(encode_image(photo(), kind)) == name


def test_wav_files() -> None:
    plain = wav(np.zeros(100, np.int16), 8_000)
    assert media_format(plain) == "wav"
    assert media_format(plain[:20] + b"\x07\x00" + plain[22:]) == "mulaw"
    assert media_format(bytearray(plain[:20] + b"\x06\x00" + plain[22:])) == "alaw"
    assert media_format(plain[:20] + b"\x31\x00" + plain[22:]) == "other"
