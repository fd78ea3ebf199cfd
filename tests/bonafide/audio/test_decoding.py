"""The restrictions on FFmpeg: no second file, no other codec, no excessive memory or time for a few bytes."""

import io
import os
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.ffmpeg import open_container
from bonafide.audio.mono import BLOCK_SAMPLES
from bonafide.audio.source import AudioSource
from bonafide.errors import BonafideError, TooLarge, UnreadableMedia
from tests import hostile
from tests.media import encode, encoder_rate, speech_like, wav

REPOSITORY = Path(__file__).parents[3]


def decode(data: bytes, channels: int = 16, rate: int = 192_000) -> np.ndarray:
    return np.concatenate([b.samples for b in MonoDecoder(data, channels, rate).blocks()])


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local recording that no upload may reach; the current folder is its folder."""
    path = tmp_path / "victim.wav"
    path.write_bytes(encode(speech_like(2.0, 44_100), 44_100))
    monkeypatch.chdir(tmp_path)
    return path


def naked(data: bytes, **options: str) -> int:
    """Samples that FFmpeg decodes without these restrictions."""
    with av.open(io.BytesIO(data), mode="r", container_options=options) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("kind", ["ffconcat", "hls", "sdp", "dash"])
def test_a_playlist_is_refused_twice(kind: str, victim: Path) -> None:
    demuxer, data = hostile.playlists(victim)[kind]
    with pytest.raises(UnreadableMedia, match="not accepted"):
        decode(data)
    try:  # even if it got as far as FFmpeg
        with open_container(AudioSource(data), (demuxer,)) as container:
            reached = sum(frame.samples for frame in container.decode(audio=0))
    except (UnreadableMedia, av.error.FFmpegError):
        reached = 0
    assert reached == 0


def test_without_the_fences_a_playlist_reaches_the_file(victim: Path) -> None:
    assert naked(hostile.playlists(victim)["ffconcat"][1]) == 2 * 44_100


def test_samples_in_another_file_are_out_of_reach(victim: Path) -> None:
    data = hostile.external_pcm(victim)
    assert naked(data, enable_drefs="1", use_absolute_path="1") == 40_000
    assert list(MonoDecoder(data, 16, 192_000).blocks()) == []


def test_a_demuxer_that_is_not_listed_is_refused() -> None:
    flac = encode(speech_like(0.5, 16_000), 16_000, "flac")
    with pytest.raises(UnreadableMedia):
        open_container(AudioSource(flac), ("mp3", "aac"))


def test_codecs_that_are_not_listed_are_refused_by_name() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("ac3", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1_536), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableMedia, match="ac3"):
        decode(out.getvalue())


def video_and_audio(with_audio: bool) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("flac", rate=16_000, layout="mono") if with_audio else None
        for index in range(25):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.full((1, 4_000), 99, np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            frame.pts = 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return out.getvalue()


def test_a_video_gives_its_sound() -> None:
    samples = decode(video_and_audio(with_audio=True))
    assert len(samples) == 4_000
    assert np.allclose(samples * 32_768, 99)


def test_a_silent_film_is_refused() -> None:
    with pytest.raises(UnreadableMedia, match="no audio"):
        decode(video_and_audio(with_audio=False))


def test_of_several_streams_the_first_is_judged_and_the_others_are_told() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        for value, stream in zip((1_000, 2_000), streams, strict=True):
            frame = av.AudioFrame.from_ndarray(np.full((1, 4_000), value, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(stream.encode(frame))
    decoder = MonoDecoder(out.getvalue(), 16, 192_000)
    samples = np.concatenate([b.samples for b in decoder.blocks()])
    assert np.allclose(samples * 32_768, 1_000)
    assert decoder.warnings == ["the file holds 2 audio streams; the first was judged"]


MIB = 2**20
GROWING: dict[str, Callable[[], bytes]] = {
    "fragment of 50 million samples": lambda: hostile.huge_fragment(50_000_000),
    "table of 100 million samples": lambda: hostile.mp4(samples=100_000_000, sample_bytes=1) + bytes(1_000),
    "header packed 1,000 times": lambda: hostile.compressed_header(150 * MIB),
    "3,000 edits of 200,000 packets": lambda: hostile.repeated_edits(3_000),
    "ID3 with packed pictures": lambda: hostile.growing_tags(4, 60 * MIB),
    "WAV with 65,535 channels": lambda: wav(np.zeros(100_000, np.int16), 16_000, channels=65_535),
    "one packet of 60 MB": lambda: one_huge_packet(),
}

MEASURE = """
import re, sys
from pathlib import Path
from bonafide.audio.decoding import MonoDecoder
from bonafide.errors import BonafideError
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text()).group(1))
def read(path):
    data = Path(path).read_bytes()
    before = peak()
    try:
        for block in MonoDecoder(data, 16, 192_000).blocks():
            pass
    except BonafideError:
        pass
    return peak() - before
read(sys.argv[1])
print(read(sys.argv[2]))
"""


def one_huge_packet() -> bytes:
    """A Matroska file whose only packet holds an hour of PCM."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("pcm_u8", rate=16_000, layout="mono")
        packet = av.Packet(bytes(60_000_000))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        stream.codec_context.open()
        container.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize("name", GROWING)
def test_a_small_file_cannot_take_much_memory(name: str, tmp_path: Path) -> None:
    hostile_file, harmless = tmp_path / "hostile", tmp_path / "harmless"
    data = GROWING[name]()
    hostile_file.write_bytes(data)
    harmless.write_bytes(encode(speech_like(5.0, 44_100), 44_100, "m4a"))
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(harmless), str(hostile_file)],
        capture_output=True,
        check=True,
        cwd=REPOSITORY,
        timeout=60,
    )
    grown = int(run.stdout)
    assert grown < 2 * len(data) + 80 * MIB, f"{grown / MIB:.0f} MiB for {len(data) / MIB:.1f} MiB"
    assert run.stderr == b""


TAGGED: dict[str, Callable[[int], bytes]] = {
    "flac": hostile.tagged_flac,
    "wav": hostile.tagged_wav,
    "webm": hostile.tagged_webm,
    "opus": hostile.tagged_opus,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TAGGED)
def test_tags_without_end_do_not_keep_a_thread_busy(kind: str) -> None:
    data = TAGGED[kind](300_000)
    started = time.thread_time()
    with suppress(UnreadableMedia):
        decode(data)
    assert time.thread_time() - started < 15


@pytest.mark.parametrize("kind", TAGGED)
def test_a_few_tags_are_fine(kind: str) -> None:
    assert len(decode(TAGGED[kind](50))) >= 16_000


def test_a_flac_without_its_tags_is_the_same_flac() -> None:
    plain = encode(speech_like(1.0, 16_000), 16_000, "flac")
    assert np.array_equal(decode(hostile.tagged_flac(10)), decode(plain))


def test_ffmpeg_does_not_write_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    whole = encode(speech_like(2.0, 44_100), 44_100, "mp3")
    for data in (whole[: len(whole) // 2], whole[:400] + os.urandom(4_000) + whole[400:], os.urandom(4_000)):
        try:
            decode(data)
        except BonafideError:
            continue
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["wav", "wav-u8", "wav24", "wav-float", "wav-double", "flac", "alac", "matroska"])
def test_lossless_formats_give_the_samples_back(kind: str) -> None:
    sound = speech_like(1.0, 22_050, channels=2, seed=3)
    decoded = decode(encode(sound, 22_050, kind))
    step = 1 / 127 if kind == "wav-u8" else 1 / 32_000
    assert len(decoded) == sound.shape[1]
    assert np.abs(decoded - sound.mean(axis=0)).max() < 1.5 * step


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_planar_and_interleaved_samples_have_the_same_mean(channels: int) -> None:
    sound = speech_like(0.5, 48_000, channels)
    interleaved, planar = encode(sound, 48_000, "wav"), encode(sound, 48_000, "flac")
    assert np.array_equal(decode(interleaved), decode(planar))


def test_24_bit_header_variants_agree_with_the_standard_library(tmp_path: Path) -> None:
    values = np.array([0, 1, -1, 8_388_607, -8_388_608, 4_194_304], dtype=np.int32)
    path = tmp_path / "24.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(3)
        out.setframerate(16_000)
        out.writeframes(b"".join(int(v).to_bytes(3, "little", signed=True) for v in values))
    assert np.array_equal(decode(path.read_bytes()), (values / 2**23).astype(np.float32))


def test_blocks_are_bounded() -> None:
    blocks = list(MonoDecoder(wav(np.zeros(1_000_000, np.uint8), 16_000), 16, 192_000).blocks())
    assert max(len(block.samples) for block in blocks) <= BLOCK_SAMPLES


def test_short_frames_are_mixed_together() -> None:
    data = encode(speech_like(2.0, 48_000), 48_000, "opus")
    assert len(list(MonoDecoder(data, 16, 192_000).blocks())) < 20  # of 100 packets


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_second_part_that_is_no_sound_costs_itself_from_its_first_frame_on(seconds: float) -> None:
    sound = np.full(16_000, 0.1, np.float32)
    broken = sound.copy()
    broken[round(seconds * 16_000)] = np.nan
    joined = wav(sound, 16_000) + wav(broken, 16_000)
    if seconds:
        with pytest.raises(UnreadableMedia, match="finite"):
            decode(joined)
    else:
        assert len(decode(joined)) == len(sound)


@pytest.mark.parametrize("kind", ["flac", "aac", "m4a", "opus"])
def test_limits_on_channels_and_rate(kind: str) -> None:
    rate = encoder_rate(kind)
    data = encode(speech_like(0.5, rate, channels=2), rate, kind)
    assert len(decode(data, channels=2, rate=rate))
    with pytest.raises(TooLarge, match="channels"):
        decode(data, channels=1)
    with pytest.raises(TooLarge, match="Hz"):
        decode(data, rate=rate - 1)
