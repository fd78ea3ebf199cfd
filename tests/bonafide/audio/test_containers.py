"""Which demuxer may read which bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.audio.containers import declares_duration, identify
from bonafide.errors import UnreadableMedia
from tests.media import AUDIO_FORMATS, RECIPES, encode, encoder_rate, speech_like

DEMUXERS = {"opus": "ogg", "m4a": "mov", "webm": "matroska"}


def sample(kind: str) -> bytes:
    rate = encoder_rate(kind)
    return encode(speech_like(0.5, rate), rate, kind)


@pytest.mark.parametrize("kind", AUDIO_FORMATS)
def test_each_promised_format_is_known(kind: str) -> None:
    demuxers = identify(sample(kind)).demuxers
    assert DEMUXERS.get(kind, kind) in demuxers
    assert len(demuxers) == (2 if kind in {"mp3", "aac"} else 1)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"ffconcat version 1.0\nfile 'x'", "concat list"),
        (b"\n  #EXTM3U\n/etc/passwd", "HLS"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><MPD/>", "XML"),
        (b"v=0\r\no=-", "SDP"),
        (b"FORM\0\0\0\0AIFF", "AIFF"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ],
)
def test_what_is_not_accepted_is_refused_by_name(head: bytes, name: str) -> None:
    with pytest.raises(UnreadableMedia, match=name):
        identify(head + bytes(100))


def test_id3_tags_are_stepped_over() -> None:
    tag = b"ID3\x04\0\0\0\0\x01\0" + bytes(128)
    with_footer = b"ID3\x04\0\x10\0\0\0\x05" + bytes(5) + b"3DI" + bytes(7)
    assert identify(tag + with_footer + b"fLaC") == (("flac",), len(tag) + len(with_footer))


def test_a_tag_that_claims_more_than_the_file_leaves_nothing() -> None:
    with pytest.raises(UnreadableMedia, match="empty"):
        identify(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(50))


@given(st.binary(max_size=200))
def test_any_bytes_get_a_demuxer_or_a_refusal(data: bytes) -> None:
    try:
        found = identify(data)
    except UnreadableMedia:
        return
    assert found.demuxers
    assert 0 <= found.offset < len(data)


def declares(data: bytes, demuxer: str) -> bool:
    return declares_duration(data, demuxer, len(data))


def test_only_stated_durations_count() -> None:
    stated = {kind: declares(sample(kind), DEMUXERS.get(kind, kind)) for kind in ("wav", "mp3", "aac")}
    assert stated == {"wav": True, "mp3": True, "aac": False}
    without_xing = sample("mp3").replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0")
    assert not declares(without_xing, "mp3")


def test_a_joined_mp3_does_not_state_the_duration_of_all() -> None:
    assert declares(sample("mp3")[:2_000], "mp3")
    assert not declares(sample("mp3") * 2, "mp3")


def test_every_recipe_of_the_helpers_is_recognised() -> None:
    assert all(identify(sample(kind)).offset >= 0 for kind in RECIPES)
