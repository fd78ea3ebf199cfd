"""G.722 and Opus without a container: the samples that the same bytes give in a file, however they are cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.codec_reader import Codec, CodecReader
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.errors import TooLarge, UnreadableMedia
from tests.coded import OPUS_PRE_SKIP, g722, opus, packets, prefixed
from tests.media import speech_like

LIMITS = AudioLimits(10**9, 10**9, 1, 16_000)  # those of recordings are smaller than what the codecs have
SPEECH = speech_like(1.5, 48_000)
G722, G722_FILE = g722(speech_like(1.5, 16_000))
OPUS, OPUS_FILE = opus(SPEECH)


def joined(blocks: list[Block]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *[block.samples for block in blocks]])


def decoded(codec: Codec, *parts: bytes) -> NDArray[np.float32]:
    reader = CodecReader(codec, LIMITS, 60.0)
    blocks = [block for part in parts for block in reader.feed(part)] + reader.finish()
    assert {block.rate for block in blocks} <= {16_000 if codec == "g722" else 48_000}
    assert reader.seconds == pytest.approx(sum(len(block.samples) / block.rate for block in blocks))
    return joined(blocks)


def in_a_file(recording: bytes) -> NDArray[np.float32]:
    return joined(list(MonoDecoder(recording, 2, 96_000).blocks()))


def test_g722_is_what_a_file_of_it_holds() -> None:
    assert np.array_equal(decoded("g722", G722), in_a_file(G722_FILE))


@pytest.mark.parametrize("second", [None, 1, -1, -0.5], ids=["mono", "equal", "opposed", "opposed and quieter"])
def test_opus_is_what_a_file_of_it_holds_but_for_the_encoders_delay(second: float | None) -> None:
    sound = SPEECH if second is None else np.concatenate([SPEECH, np.float32(second) * SPEECH])
    data, recording = opus(sound)
    samples, whole = decoded("opus", data), in_a_file(recording)
    # Channels are mixed in cells of 50 ms, which begin 6.5 ms earlier here.
    expected = whole if second is None or second > 0 else whole[: len(samples) - OPUS_PRE_SKIP]
    heard = samples[OPUS_PRE_SKIP : OPUS_PRE_SKIP + len(expected)]
    assert heard == pytest.approx(expected, abs=0 if second in (None, 1) else 1e-2)
    assert np.abs(heard).max() > 0.2


@pytest.mark.parametrize(("codec", "data"), [("g722", G722), ("opus", OPUS)], ids=["g722", "opus"])
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, max(len(G722), len(OPUS))), max_size=30))
def test_a_stream_may_be_cut_anywhere(codec: Codec, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert np.array_equal(decoded(codec, *[data[a:b] for a, b in pairwise(edges)]), decoded(codec, data))


def test_channels_that_cancel_are_told() -> None:
    reader = CodecReader("opus", LIMITS, 60.0)
    reader.feed(opus(np.concatenate([SPEECH, -SPEECH]))[0])
    (warning,) = reader.warnings
    assert warning.startswith("the channels cancel each other out")


def test_a_damaged_packet_costs_itself() -> None:
    sent = packets(OPUS_FILE)
    reader = CodecReader("opus", LIMITS, 60.0)
    samples = joined(reader.feed(prefixed([*sent[:40], b"\xff", *sent[40:]])))
    assert len(samples) == pytest.approx(len(decoded("opus", OPUS)), abs=2_400)
    assert reader.warnings == ["damaged packets that were skipped: 1"]


def test_an_incomplete_packet_at_the_end_is_told() -> None:
    reader = CodecReader("opus", LIMITS, 60.0)
    reader.feed(OPUS[:-1])
    reader.finish()
    assert reader.warnings == ["damaged packets that were skipped: 1"]


def test_packets_without_any_sound_end_the_stream() -> None:
    with pytest.raises(UnreadableMedia, match="in a row"):
        decoded("opus", prefixed([b"\xff"] * 100))


@pytest.mark.parametrize(("codec", "data"), [("g722", bytes(8_000 * 3)), ("opus", prefixed([b"\xfc"]) * 150)])
def test_a_part_holds_no_more_than_it_may(codec: Codec, data: bytes) -> None:
    with pytest.raises(TooLarge, match="2 s"):
        CodecReader(codec, LIMITS, 2.0).feed(data)


@settings(max_examples=50, deadline=None)
@given(sent=st.lists(st.binary(min_size=1, max_size=300), max_size=20))
def test_wild_packets_end_in_finite_samples_or_in_an_error(sent: list[bytes]) -> None:
    for codec in ("g722", "opus"):
        try:
            assert np.isfinite(decoded(codec, prefixed(sent))).all()
        except UnreadableMedia:
            continue
