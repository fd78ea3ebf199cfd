"""Recordings whose time line has gaps: later windows keep their time. And files that are whole say nothing else."""

import io
from functools import cache

import av
import numpy as np
import pytest

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.reader import SAMPLE_RATE, AudioReader
from tests import hostile
from tests.bonafide.audio.test_reader import LIMITS, likeness, read, samples_of
from tests.media import encode, encoder_rate, speech_like, with_gap

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
CONTAINERS = {
    # name -> recipe, FFmpeg's name, options
    "webm": ("webm", "webm", {}),
    "webm without sizes": ("webm", "webm", {"live": "1"}),
    "matroska": ("matroska", "matroska", {}),
    "ogg opus": ("opus", "ogg", {}),
    "ogg vorbis": ("ogg", "ogg", {}),
    "ogg flac": ("ogg-flac", "ogg", {}),
    "mp4": ("m4a", "mp4", {}),
    "mp4 alac": ("alac", "mp4", {}),
    "mp4 fragmented": ("m4a", "mp4", FRAGMENTED),
}


@cache
def sound(kind: str) -> bytes:
    rate = encoder_rate(kind, 48_000)
    return encode(speech_like(4.0, rate), rate, kind)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_gap_becomes_silence(name: str) -> None:
    kind, container_name, options = CONTAINERS[name]
    windows, reader = read(with_gap(sound(kind), container_name, 2.0, 6.0, **options))
    plain = samples_of(read(sound(kind))[0])
    assert reader.seconds == pytest.approx(10.0, abs=0.1)
    assert reader.warnings == []
    assert [window.end_s for window in windows] == pytest.approx([4.0, 8.0, 10.0], abs=0.1)
    samples = samples_of(windows)
    silent = samples[round(2.3 * SAMPLE_RATE) : round(7.9 * SAMPLE_RATE)]
    assert np.abs(silent.astype(int)).max() < 3
    assert likeness(samples[: 2 * SAMPLE_RATE], plain[: 2 * SAMPLE_RATE]) > 0.97
    assert likeness(samples[round(8.2 * SAMPLE_RATE) :], plain[round(2.2 * SAMPLE_RATE) :], 800) > 0.9


def test_a_gap_between_two_pages_of_ogg_is_there() -> None:
    """As recorders of calls write it; FFmpeg packs what is before and behind a gap into one page."""
    plain, data, at = sound("opus"), b"", 0
    while at < len(plain):
        segments = plain[at + 27 : at + 27 + plain[at + 26]]
        behind = at + 27 + len(segments) + sum(segments)
        head, position_s = plain[at : at + 22], int.from_bytes(plain[at + 6 : at + 14], "little") / 48_000
        if position_s > 2.5:
            head = head[:6] + round((position_s + 6.0) * 48_000).to_bytes(8, "little") + head[14:]
        data += hostile.ogg_page(head, segments, plain[at + 27 + len(segments) : behind])
        at = behind
    windows, reader = read(data)
    silent = samples_of(windows)[round(2.1 * SAMPLE_RATE) : round(7.9 * SAMPLE_RATE)]
    assert reader.seconds == pytest.approx(10.0, abs=0.1)
    assert not silent.any()


@pytest.mark.parametrize("name", ["webm", "ogg opus", "mp4"])
def test_a_gap_of_hours_is_not_filled(name: str) -> None:
    kind, container_name, options = CONTAINERS[name]
    _, reader = read(with_gap(sound(kind), container_name, 2.0, 40_000.0, **options))
    assert reader.seconds == pytest.approx(4.0, abs=0.1)
    (warning,) = reader.warnings
    assert warning.startswith("gaps of 4")
    assert warning.endswith("were too long to be filled with silence; windows after them lie that much too early")


@pytest.mark.parametrize("name", ["webm", "ogg opus", "mp4 fragmented"])
def test_a_truncated_file_with_a_gap_is_still_truncated(name: str) -> None:
    kind, container_name, options = CONTAINERS[name]
    data = with_gap(sound(kind), container_name, 1.0, 3.0, **options)
    _, reader = read(data[: round(0.8 * len(data))])
    assert any("truncated after" in warning for warning in reader.warnings)


def film(container_name: str, video_s: float, sound_s: float, **options: str) -> bytes:
    """A video whose sound ends before or after its pictures."""
    out = io.BytesIO()
    with av.open(out, "w", format=container_name, options=options) as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        waveform = speech_like(sound_s, 48_000)
        for index in range(round(video_s * 25)):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for start in range(0, waveform.shape[1], 1_024):
            frame = av.AudioFrame.from_ndarray(waveform[:, start : start + 1_024].copy(), "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("container_name", ["matroska", "mp4", "mov"])
@pytest.mark.parametrize("fragmented", [False, True])
def test_pictures_that_outlast_the_sound(container_name: str, fragmented: bool) -> None:
    options = FRAGMENTED if fragmented and container_name != "matroska" else {}
    if fragmented and container_name == "matroska":
        options = {"live": "1"}
    data = film(container_name, 9.0, 5.0, **options)
    _, reader = read(data)
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert reader.warnings == []
    _, reader = read(data + data)
    assert reader.seconds == pytest.approx(10.0, abs=0.2)
    assert reader.warnings == ["the file holds 2 recordings that were joined; all were judged"]


def test_silence_that_nobody_sent_at_the_end() -> None:
    for kind, container_name in (("webm", "webm"), ("opus", "ogg")):
        data = with_gap(sound(kind), container_name, 3.99, 6.0)
        _, reader = read(data)
        assert not any("truncated" in warning for warning in reader.warnings)


@pytest.mark.parametrize("mode", ["auto", "separate", "1"])
def test_a_gap_is_silence_in_each_channel(mode: str) -> None:
    voices = [np.roll(speech_like(4.0, 48_000, seed=seed)[0], 24_001 * seed) for seed in (1, 2)]
    data = with_gap(encode(np.stack(voices), 48_000, "webm"), "webm", 2.0, 6.0)
    with AudioReader(data, LIMITS, mode=ChannelMode.parse(mode)) as reader:
        windows = [window for step in reader for window in step]
    assert reader.seconds == pytest.approx(10.0, abs=0.1)
    assert sorted({window.channel for window in windows if window.channel is not None}) == [0, 1][mode == "1" :]
