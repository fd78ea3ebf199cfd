"""Where recordings begin and end in a file, and what their sizes tell."""

import re
import struct
import time
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.audio.part import Part
from bonafide.audio.parts import first_part, next_part
from bonafide.errors import UnreadableMedia
from tests.bonafide.audio.test_reader import read, samples_of
from tests.media import RECIPES, encode, encoder_rate, of_unknown_sizes, speech_like, with_gap

CLUSTER = b"\x1f\x43\xb6\x75"
KINDS = ("wav", "w64", "flac", "mp3", "opus", "ogg-flac", "m4a", "m4a-fragmented", "amr", "webm")


@cache
def file(kind: str) -> bytes:
    rate = encoder_rate(kind)
    return encode(speech_like(1.0, rate), rate, kind)


def parts(data: bytes) -> tuple[list[Part], int]:
    """All parts, and the bytes that are in none."""
    found, part, lost = [], first_part(data), 0
    while part is not None:
        found.append(part)
        part, unread = next_part(data, part)  # type: ignore[assignment]
        lost += unread
    return found, lost


@pytest.mark.parametrize("kind", RECIPES)
def test_a_file_by_itself_is_one_part(kind: str) -> None:
    (part,), lost = parts(file(kind))
    assert lost == 0
    assert part.end == len(file(kind))
    assert not part.missing
    assert not part.is_cut


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_any_file_behind_any_other(first: str, second: str) -> None:
    found, lost = parts(file(first) + file(second))
    told = second == "mp3"  # has no beginning that could be recognised
    assert len(found) == (1 if told else 2)
    if not told:
        assert found[1].end == len(file(first) + file(second))
    elif first not in {"flac", "mp3", "amr"}:  # raw frames, whose packets are counted
        assert len(file(second)) - 100 < lost <= len(file(second))  # less its tag


def test_a_matroska_segment_whose_size_was_never_updated() -> None:
    for kind in ("webm", "matroska"):
        rate = encoder_rate(kind)
        whole = encode(speech_like(20.0, rate), rate, kind)
        begin = whole.index(b"\x18\x53\x80\x67")
        later = whole.index(CLUSTER, whole.index(CLUSTER) + 4)
        stale = whole[: begin + 4] + (2**56 | later - begin - 12).to_bytes(8, "big") + whole[begin + 12 :]
        windows, reader = read(stale)
        assert np.array_equal(samples_of(windows), samples_of(read(whole)[0]))
        (warning,) = reader.warnings
        assert "more follow; all was judged" in warning


@pytest.mark.parametrize("kind", ["m4a", "m4a-fragmented", "webm"])
@pytest.mark.parametrize("excess", [8, 16])
def test_sizes_that_count_a_header_too_much(kind: str, excess: int) -> None:
    data = bytearray(encode(speech_like(3.0, 48_000), 48_000, "m4a-faststart" if kind == "m4a" else kind))
    if kind == "webm":
        at = data.index(b"\x18\x53\x80\x67") + 4
        data[at : at + 8] = (int.from_bytes(data[at : at + 8], "big") + excess).to_bytes(8, "big")
    else:
        at = data.rindex(b"mdat") - 4
        data[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", data, at)[0] + excess)
        if kind == "m4a-fragmented":
            data = data[: at + struct.unpack_from(">I", data, at)[0] - excess]  # it is the last box
    _, reader = read(bytes(data))
    assert reader.seconds == pytest.approx(3.0, abs=0.1)
    assert not any("truncated" in warning for warning in reader.warnings)


def test_an_mp4_whose_last_box_ends_with_the_file() -> None:
    data = bytearray(encode(speech_like(3.0, 48_000), 48_000, "m4a-faststart"))
    at = data.rindex(b"mdat") - 4
    data[at : at + 4] = bytes(4)
    _, reader = read(bytes(data + data))
    assert reader.seconds == pytest.approx(6.0, abs=0.1)
    assert reader.warnings == ["the file holds 2 recordings that were joined; all were judged"]


def test_a_header_for_each_fragment_is_no_gap() -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "1000000"}
    data = with_gap(encode(speech_like(9.0, 48_000), 48_000, "m4a"), "mp4", 0.0, 0.0, **options)
    edges = [found.start() - 4 for found in re.finditer(b"moof", data)]
    header, fragments = data[: edges[0]], [data[a:b] for a, b in pairwise([*edges, len(data)])]
    assert len(fragments) > 5
    windows, reader = read(b"".join(header + fragment for fragment in fragments))
    assert reader.seconds == pytest.approx(9.0, abs=0.1)
    assert len(windows) == 3


@pytest.mark.parametrize("unit", [b"\xec\x80", b"\0\0\0\x08free", b"OggS\0", b"fLaC", b"RIFF0000WAVE", b"#!AMR\n"])
@pytest.mark.parametrize("kind", ["webm", "m4a-fragmented", "opus", "flac", "wav", "mp3"])
def test_repeated_beginnings_take_no_quadratic_time(unit: bytes, kind: str) -> None:
    data = file(kind) + unit * (500_000 // len(unit))
    started = time.thread_time()
    first = first_part(data)
    for _ in range(20):
        following, _ = next_part(data, first)
        if following is None:
            break
        first = following
    assert time.thread_time() - started < 3


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_any_change_of_a_header_gives_parts_within_the_file(kind: str, data: st.DataObject) -> None:
    changed = bytearray(file(kind) + file("webm")[:200])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(400, len(changed) - 1)))
        changed[at] = data.draw(st.integers(0, 255))
    try:
        found, lost = parts(bytes(changed))
    except UnreadableMedia:
        return
    assert 0 <= lost <= len(changed)
    behind = 0
    for part in found:
        assert behind <= part.body <= part.end <= len(changed)
        behind = part.end


def test_clusters_without_sizes_end_with_the_next_file() -> None:
    plain = of_unknown_sizes(file("webm"))
    found, lost = parts(plain * 3)
    assert [part.end for part in found] == [len(plain), 2 * len(plain), 3 * len(plain)]
    assert lost == 0
