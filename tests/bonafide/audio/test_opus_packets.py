"""Packets behind their lengths: the same however the bytes are cut, and none longer than Opus has them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.audio.opus_packets import MAX_PACKET_BYTES, OpusPackets
from bonafide.errors import UnreadableMedia
from tests.coded import prefixed


@given(
    sent=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_packets_come_whole_wherever_the_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    data = prefixed(sent)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = OpusPackets()
    assert [packet for a, b in pairwise(edges) for packet in stream.feed(data[a:b])] == sent
    assert not stream.incomplete


def test_an_incomplete_packet_waits() -> None:
    stream = OpusPackets()
    assert stream.feed(prefixed([b"abc"])[:-1]) == []
    assert stream.incomplete
    assert stream.feed(b"c") == [b"abc"]


def test_the_longest_packet_is_taken() -> None:
    assert OpusPackets().feed(prefixed([bytes(MAX_PACKET_BYTES)])) == [bytes(MAX_PACKET_BYTES)]


@pytest.mark.parametrize("size", [0, MAX_PACKET_BYTES + 1, 65_535])
def test_another_length_is_refused_before_its_bytes_come(size: int) -> None:
    with pytest.raises(UnreadableMedia, match=f"{size} bytes"):
        OpusPackets().feed(size.to_bytes(2, "big"))
