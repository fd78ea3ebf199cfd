"""WAV and Wave64 whose sizes are wrong, unknown, or far behind other chunks; samples that fill their bytes in part."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.reader import SAMPLE_RATE
from bonafide.audio.wav import wav_part
from bonafide.errors import UnreadableMedia
from tests.bonafide.audio.test_reader import read, samples_of
from tests.media import encode, speech_like, wav

SOUND = speech_like(3.0)[0]
PCM = np.rint(SOUND * 32_767).astype(np.int16)
WHOLE = wav(PCM, SAMPLE_RATE)
HEADER_BYTES = len(WHOLE) - PCM.nbytes
PLACEHOLDERS = [0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFFDB, 0x80000000, 0x80000024, 0xFFFFFFDB, 0xFFFFFFF0, 0xFFFFFFFF]


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def with_chunks(*before: bytes, after: bytes = b"") -> bytes:
    """The whole file with chunks in front of its format or behind its samples."""
    return WHOLE[:12] + b"".join(before) + WHOLE[12:] + after


def assert_whole(data: bytes, warnings: list[str] | None = None) -> None:
    windows, reader = read(data)
    assert np.array_equal(samples_of(windows), PCM)
    assert reader.warnings == (warnings or [])


@pytest.mark.parametrize("size", PLACEHOLDERS)
def test_what_streams_write_for_an_unknown_size(size: int) -> None:
    assert_whole(wav(PCM, SAMPLE_RATE, data_bytes=size))
    data = wav(PCM, SAMPLE_RATE, data_bytes=size)
    _, reader = read(data + data)
    assert reader.seconds == 6.0
    assert reader.warnings == ["the file holds 2 recordings that were joined; all were judged"]


@pytest.mark.parametrize("name", [b"JUNK", b"bext", b"LIST", b"xyz "])
@pytest.mark.parametrize("size", [10_000, 100_001])
@pytest.mark.parametrize("data_bytes", [None, 0, 0xFFFFFFFF])
def test_long_chunks_before_the_samples(name: bytes, size: int, data_bytes: int | None) -> None:
    plain = wav(PCM, SAMPLE_RATE, data_bytes=data_bytes)
    assert_whole(plain[:12] + chunk(name, bytes(size)) + plain[12:])


@pytest.mark.parametrize("excess", [1, 16, 36, 44])
def test_a_size_that_counts_the_header(excess: int) -> None:
    assert_whole(wav(PCM, SAMPLE_RATE, data_bytes=PCM.nbytes + excess))


@pytest.mark.parametrize("stated_s", [0.5, 1.5, 2.9])
def test_a_size_that_was_never_updated(stated_s: float) -> None:
    stated = 2 * round(stated_s * SAMPLE_RATE)
    note = f"the header states {stated_s:.1f} s, but {3 - stated_s:.1f} s more follow; all was judged"
    assert_whole(wav(PCM, SAMPLE_RATE, data_bytes=stated), [note])


@pytest.mark.parametrize("kind", ["wav-adpcm", "wav-g722", "wav-mulaw"])
def test_a_size_that_was_never_updated_of_a_codec(kind: str) -> None:
    """A frame of theirs may hold a thousand samples, so that a second of them are few bytes."""
    data = bytearray(encode(SOUND, SAMPLE_RATE, kind))
    at = data.index(b"data") + 4
    whole, reader = read(bytes(data))
    size = int.from_bytes(data[at : at + 4], "little")
    data[at : at + 4] = (size // 2).to_bytes(4, "little")
    windows, stale = read(bytes(data))
    assert np.array_equal(samples_of(windows), samples_of(whole))
    assert (reader.warnings, len(stale.warnings)) == ([], 1)
    assert stale.warnings[0].startswith("the header states 1.5 s, but 1.5 s more follow")


def test_two_files_whose_sizes_were_never_updated() -> None:
    data = wav(PCM, SAMPLE_RATE, data_bytes=32_000)
    windows, reader = read(data + data)
    assert np.array_equal(samples_of(windows), np.concatenate([PCM, PCM]))
    assert reader.seconds == 6.0


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_file_says_how_much_is_missing(kept: float) -> None:
    _, reader = read(WHOLE[: HEADER_BYTES + 2 * round(kept * len(PCM))])
    assert reader.warnings == [
        f"the file is truncated after {3 * kept:.1f} s (its header promises 3.0 s); what could be read was judged"
    ]


@pytest.mark.parametrize("name", [b"LIST", b"id3 ", b"cue ", b"zzzz"])
def test_chunks_behind_the_samples_are_no_samples(name: bytes) -> None:
    assert_whole(with_chunks(after=chunk(name, bytes(range(256)) * 20)))


def test_a_missing_pad_byte_before_another_chunk() -> None:
    sound = np.arange(9_999, dtype=np.uint8) % 20 + 118
    data = wav(sound, SAMPLE_RATE) + chunk(b"LIST", b"INFO" * 10)
    _, reader = read(data)
    assert (reader.seconds, reader.warnings) == (9_999 / SAMPLE_RATE, [])


def test_samples_in_several_chunks() -> None:
    half = PCM.nbytes // 2
    body = PCM.tobytes()
    split = (
        WHOLE[: HEADER_BYTES - 8] + chunk(b"data", body[:half]) + chunk(b"LIST", b"INFO") + chunk(b"data", body[half:])
    )
    windows, reader = read(split)
    assert np.array_equal(samples_of(windows), PCM)
    assert reader.seconds == 3.0


@pytest.mark.parametrize("tail", [b"\1", b"\r\n", b"\7\7\7", bytes(range(1, 201))], ids=len)
def test_a_few_bytes_behind_the_samples_are_none_but_are_told(tail: bytes) -> None:
    unread = f"unread_bytes: {len(tail)} of {len(WHOLE) + len(tail)} bytes were not read; audio in them was not judged"
    assert_whole(WHOLE + tail, [unread])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_random_bytes_behind_the_samples_are_not_judged(dtype: type) -> None:
    scale = {"uint8": 127, "int16": 2**15 - 1, "int32": 2**31 - 1}.get(dtype.__name__, 1)
    sound: NDArray[np.generic] = (SOUND * scale + (128 if dtype is np.uint8 else 0)).astype(dtype)
    junk = np.random.default_rng(3).integers(0, 256, 99_999).astype(np.uint8).tobytes()
    data = wav(sound, SAMPLE_RATE) + junk
    _, reader = read(data)
    assert reader.seconds == 3.0
    assert reader.warnings == [
        f"unread_bytes: {len(junk)} of {len(data)} bytes were not read; audio in them was not judged"
    ]


@pytest.mark.parametrize("stated", [None, 24 + 32_000, 24, 2**63 - 1])
def test_wave64_is_read_by_the_same_rules(stated: int | None) -> None:
    data = bytearray(encode(SOUND, SAMPLE_RATE, "w64"))
    at = data.rindex(b"data\xf3\xac\xd3\x11") + 16
    if stated is not None:
        data[at : at + 8] = struct.pack("<Q", stated)
    windows, reader = read(bytes(data))
    assert np.abs(samples_of(windows).astype(int) - PCM).max() <= 1  # the encoder rounds in another way
    assert bool(reader.warnings) == (stated == 24 + 32_000)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=30), st.integers(0, 60), st.binary(max_size=50), st.sampled_from([b"RIFF", b"RIFX", b"RF64"]))
@example(b"\1\0\1\0" * 3, 2, b"\1\2\3\4\5", b"RIFF")
def test_any_format_and_any_tail(form: bytes, stated: int, tail: bytes, name: bytes) -> None:
    data = name + bytes(4) + b"WAVE" + chunk(b"fmt ", form) + b"data" + struct.pack("<I", stated) + tail
    try:
        part = wav_part(data, 0)
    except UnreadableMedia:
        return
    assert part.body <= part.end <= len(data)


def test_rf64_has_its_size_elsewhere() -> None:
    data = encode(SOUND, SAMPLE_RATE, "rf64")
    _, reader = read(data + data)
    assert reader.seconds == 6.0
    _, reader = read(data[:-64_000])
    assert any("truncated after 1.0 s" in warning for warning in reader.warnings)


def as_bytes(width: int, kind: str = "integers", channels: int = 1) -> bytes:
    """The samples with so many bytes each, the upper two of which are theirs: those of one byte are of 8 bits."""
    sound = np.repeat(PCM, channels)
    if kind == "floats":
        return (sound / np.float32(2**15)).astype("<f4").tobytes()
    if width == 1:
        return ((sound >> 8) + 128).astype(np.uint8).tobytes()
    filled = np.zeros((len(sound), width), np.uint8)
    filled[:, -2:] = sound.astype("<i2").view(np.uint8).reshape(-1, 2)
    return filled.tobytes()


def extensible(body: bytes, width: int, valid: int, tag: int = 1, channels: int = 1) -> tuple[bytes, bytes]:
    """A format chunk that says how many bits of each sample are valid, and the chunk of the samples."""
    frame = width * channels
    form = struct.pack("<HHIIHH", 0xFFFE, channels, SAMPLE_RATE, SAMPLE_RATE * frame, frame, 8 * width)
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return chunk(b"fmt ", form + struct.pack("<HHI", 22, valid, 0) + guid), chunk(b"data", body)


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


VALID_BITS = [(4, 0), (4, 16), (4, 20), (4, 24), (4, 32), (3, 16), (3, 20), (3, 24), (2, 8), (2, 12), (2, 16)]


@pytest.mark.parametrize(("width", "valid"), VALID_BITS)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_bytes_of_a_sample_may_hold_more_bits_than_are_valid(width: int, valid: int, channels: int) -> None:
    assert_whole(riff(*extensible(as_bytes(width, channels=channels), width, valid, channels=channels)))


@pytest.mark.parametrize(("width", "valid"), [(4, 20), (4, 18), (3, 20), (2, 12)])
@pytest.mark.parametrize("channels", [1, 2])
def test_plain_samples_whose_bits_fill_no_bytes_are_as_wide_as_these(width: int, valid: int, channels: int) -> None:
    frame = width * channels
    form = struct.pack("<HHIIHH", 1, channels, SAMPLE_RATE, SAMPLE_RATE * frame, frame, valid)
    assert_whole(riff(chunk(b"fmt ", form), chunk(b"data", as_bytes(width, channels=channels))))


@pytest.mark.parametrize("valid", [0, 24, 32])
def test_floats_of_which_fewer_bits_are_valid(valid: int) -> None:
    assert_whole(riff(*extensible(as_bytes(4, "floats"), 4, valid, tag=3)))


def test_a_byte_of_which_fewer_bits_are_valid() -> None:
    windows, _ = read(riff(*extensible(as_bytes(1), 1, 7)))
    assert np.array_equal(samples_of(windows), PCM >> 8 << 8)


@pytest.mark.parametrize(("width", "valid"), VALID_BITS)
def test_rf64_of_which_fewer_bits_are_valid(width: int, valid: int) -> None:
    form, samples = extensible(as_bytes(width), width, valid)
    sizes = chunk(b"ds64", struct.pack("<QQQI", len(form) + len(samples), len(samples) - 8, len(PCM), 0))
    assert_whole(b"RF64" + b"\xff" * 4 + b"WAVE" + sizes + form + b"data" + b"\xff" * 4 + samples[8:])


@pytest.mark.parametrize(("width", "valid"), VALID_BITS)
def test_further_chunks_and_files_of_which_fewer_bits_are_valid(width: int, valid: int) -> None:
    form, samples = extensible(as_bytes(width), width, valid)
    first, second = samples[8 : 8 + width * 10_000], samples[8 + width * 10_000 :]
    in_chunks = riff(form, chunk(b"data", first), chunk(b"LIST", b"INFO"), chunk(b"data", second))
    for data, sound in ((in_chunks, PCM), (riff(form, samples) * 2, np.concatenate([PCM, PCM]))):
        windows, reader = read(data)
        assert np.array_equal(samples_of(windows), sound)
        assert reader.seconds == len(sound) / SAMPLE_RATE


@pytest.mark.parametrize(("width", "valid"), VALID_BITS)
def test_wave64_of_which_fewer_bits_are_valid(width: int, valid: int) -> None:
    form, samples = extensible(as_bytes(width), width, valid)
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    chunks = [
        each[:4] + tail + struct.pack("<Q", 16 + len(each)) + each[8:] + bytes(-len(each) % 8)
        for each in (form, samples)
    ]
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + bytes(8) + b"wave" + tail
    assert_whole(head + b"".join(chunks))


@pytest.mark.parametrize("channels", [1, 2])
def test_bytes_that_no_bit_of_a_sample_fills_are_refused(channels: int) -> None:
    with pytest.raises(UnreadableMedia):
        read(
            wav(
                np.repeat(PCM.astype(np.int32) << 16, channels),
                SAMPLE_RATE,
                bits=24,
                channels=channels,
                block_align=4 * channels,
            )
        )


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[:30],
        WHOLE[:12] + chunk(b"LIST", b"INFO"),
        WHOLE[:12] + chunk(b"data", bytes(100)),
        WHOLE[:12] + chunk(b"abcd", b"") * 20_000 + WHOLE[12:],
    ],
)
def test_headers_without_format_or_samples_or_end(data: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        read(data)


@pytest.mark.parametrize("padding", [0, 1, 7])
def test_zeros_behind_the_last_block_of_gsm_are_no_damaged_packet(padding: int) -> None:
    blocks = bytes(range(1, 66)) * 100
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8_000, 1_625, 65, 0, 2, 320)
    samples = blocks + bytes(padding)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    _, reader = read(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    assert reader.seconds == 4.0
    assert not any("damaged" in warning or "truncated" in warning for warning in reader.warnings)
