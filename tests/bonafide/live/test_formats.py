"""Encodings of live audio: every form decodes to the original samples, and anything else is refused."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from bonafide.errors import InvalidRequest
from bonafide.live.formats import RawDecoder, RawEncoding, raw_encoding, text_samples

SAMPLES = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 2**-15], dtype=np.float32)
BYTES: dict[RawEncoding, bytes] = {
    "float32": SAMPLES.astype("<f4").tobytes(),
    "pcm16": (SAMPLES * 32_767).astype("<i2").tobytes(),
    "l16": (SAMPLES * 32_767).astype(">i2").tobytes(),
    "mulaw": bytes(range(256)),
    "alaw": bytes(range(256)),
}


def ffmpeg_g711(name: str, data: bytes) -> NDArray[np.float32]:
    """FFmpeg's own reading of mu-law or A-law."""
    decoder = av.CodecContext.create(f"pcm_{name}", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    (frame,) = decoder.decode(av.Packet(data))
    samples: NDArray[np.float32] = frame.to_ndarray()[0].astype(np.float32)
    return samples / np.float32(32_768)


def test_raw_samples() -> None:
    assert np.array_equal(RawDecoder("float32").feed(BYTES["float32"]), SAMPLES)
    assert RawDecoder("pcm16").feed(BYTES["pcm16"]) == pytest.approx(SAMPLES, abs=2**-14)
    assert np.array_equal(RawDecoder("l16").feed(BYTES["l16"]), RawDecoder("pcm16").feed(BYTES["pcm16"]))
    for name in ("mulaw", "alaw"):
        assert np.array_equal(RawDecoder(name).feed(BYTES[name]), ffmpeg_g711(name, BYTES[name]))


@pytest.mark.parametrize("encoding", BYTES)
def test_frames_of_several_channels_come_whole(encoding: RawEncoding) -> None:
    data = BYTES[encoding][: 6 * (len(BYTES[encoding]) // 6)]
    decoder = RawDecoder(encoding, 3)
    parts = [decoder.feed(data[at : at + 1]) for at in range(len(data))]
    assert {len(part) for part in parts} == {0, 3}
    assert np.array_equal(np.concatenate(parts), RawDecoder(encoding).feed(data))


@pytest.mark.parametrize("encoding", BYTES)
@given(cuts=st.lists(st.integers(0, 256), max_size=8))
def test_a_stream_may_be_cut_within_a_sample(encoding: RawEncoding, cuts: list[int]) -> None:
    data = BYTES[encoding]
    edges = [0, *sorted(cuts), len(data)]
    decoder = RawDecoder(encoding)
    parts = [decoder.feed(data[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), RawDecoder(encoding).feed(data))


@pytest.mark.parametrize(
    "audio_data",
    [
        base64.b64encode(BYTES["float32"]).decode(),
        SAMPLES.tolist(),
        json.dumps(SAMPLES.tolist()),
        "  " + json.dumps(SAMPLES.tolist(), indent=1),
    ],
    ids=["base64", "array", "string", "spaced string"],
)
def test_the_three_forms_of_text(audio_data: str | list[float]) -> None:
    samples = text_samples(audio_data)
    assert samples.dtype == np.float32
    assert np.array_equal(samples, SAMPLES)


@pytest.mark.parametrize("written", [base64.encodebytes, base64.urlsafe_b64encode], ids=["lines", "URL-safe"])
def test_base64_may_have_lines_and_the_other_alphabet(written: Callable[[bytes], bytes]) -> None:
    samples = np.linspace(-1, 1, 100, dtype="<f4")
    assert np.array_equal(text_samples(written(samples.tobytes()).decode()), samples)


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("form", ["base64", "array", "string"])
def test_text_may_hold_integers(form: str, stated: bool) -> None:
    integers = np.array([0, 16_384, -32_768, 32_767, 1], "<i2")
    audio_data: str | list[float] = {
        "base64": base64.b64encode(integers.tobytes()).decode(),
        "array": integers.astype(float).tolist(),
        "string": json.dumps(integers.tolist()),
    }[form]
    samples = text_samples(audio_data, "pcm16", stated=stated)
    assert samples == pytest.approx([0, 0.5, -1, 1, 0], abs=2**-14)


def test_numbers_that_are_no_integers_are_floats_unless_the_chunk_says_otherwise() -> None:
    floats = [0.5, -0.25, 0.0]
    for encoding in ("pcm16", "l16", "mulaw", "alaw"):
        assert text_samples(floats, encoding).tolist() == floats
        with pytest.raises(InvalidRequest, match=encoding):
            text_samples(floats, encoding, stated=True)


def test_text_may_hold_mulaw() -> None:
    audio_data = base64.b64encode(BYTES["mulaw"]).decode()
    assert np.array_equal(text_samples(audio_data, "mulaw"), RawDecoder("mulaw").feed(BYTES["mulaw"]))


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("pcm16", "pcm16"), ("Int16", "pcm16"), ("pcm_s16le", "pcm16"), ("LINEAR16", "pcm16"), ("float32", "float32"),
     ("ulaw", "mulaw"), ("PCMA", "alaw"), ("s16be", "l16"),
     ("g722", None), ("base64", None), ("json", None), ("", None), (None, None), ("mp3", None)],
)  # fmt: skip
def test_what_clients_call_their_encoding(name: str | None, encoding: str | None) -> None:
    assert raw_encoding(name) == encoding


@pytest.mark.parametrize("empty", ["", [], "[]", "data:;base64,", "\n"])
def test_no_samples(empty: str | list[float]) -> None:
    assert text_samples(empty).shape == (0,)


@pytest.mark.parametrize(
    "audio_data",
    [
        "not base64!",
        "AAAA",
        "AAAAAA=",
        "[1, 2",
        '["a"]',
        "[[1]]",
        "[null]",
        "{}",
        "äöü",
    ],
)
def test_what_is_no_audio_is_told(audio_data: str) -> None:
    with pytest.raises(InvalidRequest, match="audio_data"):
        text_samples(audio_data)


def test_an_array_of_wrong_items_is_refused_by_the_first() -> None:
    with pytest.raises(InvalidRequest) as refused:
        text_samples("[" + ",".join(["{}"] * 1_000) + "]")
    assert isinstance(refused.value.__cause__, ValidationError)
    assert refused.value.__cause__.error_count() == 1


@given(st.text() | st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_nothing_else_comes_of_wild_text(audio_data: str | list[float]) -> None:
    try:
        samples = text_samples(audio_data)
    except InvalidRequest:
        return
    assert samples.ndim == 1
