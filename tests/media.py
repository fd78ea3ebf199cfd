"""Synthesises recordings and photos for the tests: numpy in, encoded bytes out, through PyAV and Pillow."""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray
from PIL import Image

AUDIO_FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "amr", "webm")
"""What the product promises to read; `encode` writes each of them."""

RECIPES: dict[str, tuple[str, str, str, dict[str, str]]] = {
    # name -> container, encoder, sample format, options
    "wav": ("wav", "pcm_s16le", "s16", {}),
    "wav24": ("wav", "pcm_s24le", "s32", {}),
    "wav-float": ("wav", "pcm_f32le", "flt", {}),
    "wav-double": ("wav", "pcm_f64le", "dbl", {}),
    "wav-u8": ("wav", "pcm_u8", "u8", {}),
    "wav-mulaw": ("wav", "pcm_mulaw", "s16", {}),
    "wav-alaw": ("wav", "pcm_alaw", "s16", {}),
    "wav-g722": ("wav", "g722", "s16", {}),
    "wav-adpcm": ("wav", "adpcm_ima_wav", "s16p", {}),
    "rf64": ("wav", "pcm_s16le", "s16", {"rf64": "always"}),
    "w64": ("w64", "pcm_s16le", "s16", {}),
    "flac": ("flac", "flac", "s16", {}),
    "mp3": ("mp3", "libmp3lame", "s16p", {}),
    "ogg": ("ogg", "vorbis", "fltp", {}),
    "ogg-flac": ("ogg", "flac", "s16", {}),
    "opus": ("ogg", "libopus", "s16", {}),
    "m4a": ("mp4", "aac", "fltp", {}),
    "m4a-faststart": ("mp4", "aac", "fltp", {"movflags": "faststart"}),
    "m4a-fragmented": ("mp4", "aac", "fltp", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "alac": ("mp4", "alac", "s16p", {}),
    "mov-pcm": ("mov", "pcm_s16le", "s16", {}),
    "aac": ("adts", "aac", "fltp", {}),
    "amr": ("amr", "libopencore_amrnb", "s16", {}),
    "webm": ("webm", "libopus", "s16", {}),
    "matroska": ("matroska", "pcm_s16le", "s16", {}),
    "matroska-flac": ("matroska", "flac", "s16", {}),
}
_ENCODER_RATES = {"opus": 48_000, "webm": 48_000, "amr": 8_000, "wav-g722": 16_000}
_SLOW_ENCODERS = frozenset({"libmp3lame", "vorbis", "libopus", "aac", "libopencore_amrnb", "g722"})
_QUICK = {
    "libmp3lame": {"compression_level": "9"},
    "aac": {"aac_coder": "fast"},
    "libopus": {"compression_level": "3"},
}
"""Options that save most of an encoder's time."""
_BIT_RATES = {"libopencore_amrnb": 12_200}
# Hz, of five vowels: first, second, third formant.
_FORMANTS = np.array(
    [(730, 530, 390, 570, 640), (1090, 1840, 1990, 840, 1190), (2440, 2480, 2550, 2410, 2390)], np.float32
)
_CACHED_SAMPLES = 2**15
"""So many stay in the processor's cache while all harmonics are added."""
_STRENGTHS_PER_S = 1_000
"""So often the strength of a harmonic is computed, which changes slowly."""
_KEPT = 128
"""Encoded files of a few seconds and photos that are kept: tests of many files ask for the same."""
_kept: dict[tuple[object, ...], bytes] = {}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1", 16: "hexadecagonal"}


def speech_like(seconds: float, rate: int = 16_000, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Babble that a detector of speech takes for speech: a wandering pitch, eight vowels a second, a little noise.

    Returns:
        float32 array (channels, samples), within -0.9..0.9; the channels differ by their noise.
    """
    return _speech_like(seconds, rate, channels, seed).copy()


@lru_cache(maxsize=16)
def _speech_like(seconds: float, rate: int, channels: int, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (np.cumsum(_pitch(time, seed)) / rate % 1)
    # Each vowel is another one than the one before, and glides into the next.
    order = np.cumsum(random.integers(1, _FORMANTS.shape[1], round(8 * seconds) + 3)) % _FORMANTS.shape[1]
    voice = _voice(phase.astype(np.float32), rate, seed, order)
    noise = random.normal(0.0, 0.003, (channels, len(time)))
    return np.clip(0.25 * voice * np.sqrt(np.sin(np.pi * (time * 8 % 1))) + noise, -0.9, 0.9).astype(np.float32)


def _voice(phase: NDArray[np.float32], rate: int, seed: int, order: NDArray[np.integer]) -> NDArray[np.float32]:
    """All harmonics; the strength of each is computed every few samples, and lies on a line between them."""
    step = max(1, round(rate / _STRENGTHS_PER_S))
    steps = -(-len(phase) // step)
    padded = np.zeros(steps * step, np.float32)
    padded[: len(phase)] = phase
    phases = padded.reshape(steps, step)
    voice = np.zeros_like(phases)
    place = np.arange(step, dtype=np.float32) / np.float32(step)
    at_once = max(1, _CACHED_SAMPLES // step)
    for start in range(0, steps, at_once):
        rows = slice(start, start + at_once)
        twice_cosine, sine, before = 2 * np.cos(phases[rows]), np.sin(phases[rows]), np.zeros_like(phases[rows])
        for strength in _strengths(np.arange(start, start + len(sine) + 1) * step / rate, rate, seed, order):
            now, then = strength[:-1, np.newaxis], strength[1:, np.newaxis]
            voice[rows] += (now + (then - now) * place) * sine
            before, sine = sine, twice_cosine * sine - before
    return voice.reshape(-1)[: len(phase)]


def _strengths(time: NDArray[np.float64], rate: int, seed: int, order: NDArray[np.integer]) -> NDArray[np.float32]:
    """Float32 (harmonics, n) at these times."""
    syllable, place = np.divmod(time * 8, 1)
    now, glide = syllable.astype(int), np.clip((place - 0.6) / 0.4, 0, 1)
    harmonics = np.arange(1, int(min(rate / 2, 4_000) / 150))[:, np.newaxis] * _pitch(time, seed)
    strength = np.zeros(harmonics.shape)
    for vowels, level, width in zip(_FORMANTS, (1.0, 0.6, 0.3), (80, 100, 150), strict=True):
        formant = vowels[order[now]] * (1 - glide) + vowels[order[now + 1]] * glide
        strength += level / (1 + ((harmonics - formant) / width) ** 2)
    return strength.astype(np.float32)


def _pitch(time: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return np.asarray(130 + 20 * np.sin(2 * np.pi * 0.7 * time + seed))


def encode(sound: NDArray[np.float32], rate: int, kind: str = "wav", bit_rate: int | None = None) -> bytes:
    """Encodes a sound with PyAV.

    Args:
        sound: float32 array (channels, samples) or (samples,), -1..1.
        rate: samples per second of `sound`, which the encoder must know (`encoder_rate` tells).
        kind: one of the recipes above, such as `mp3` or `wav24`.
        bit_rate: of a lossy encoder.
    """
    channels = np.atleast_2d(sound)
    if RECIPES[kind][1] == "vorbis" and len(channels) == 1:  # FFmpeg's own encoder knows only stereo
        channels = np.repeat(channels, 2, axis=0)

    def encoded() -> bytes:
        with TemporaryDirectory() as folder:  # a real file, since faststart reads back what it wrote
            path = Path(folder) / kind
            _write(path, RECIPES[kind], channels, rate, bit_rate)
            return path.read_bytes()

    if RECIPES[kind][1] not in _SLOW_ENCODERS:
        return encoded()
    return _kept_or(encoded, _digest(channels.tobytes()), channels.shape, rate, kind, bit_rate)


def repeat(recording: bytes, times: int, container_name: str) -> bytes:
    """A long recording at little cost: the packets of a short one again and again, in one container."""
    out = io.BytesIO()
    with av.open(io.BytesIO(recording), "r") as source, av.open(out, "w", format=container_name) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        packets = [(bytes(p), p.duration or 0) for p in source.demux(source.streams.audio[0]) if p.size]
        now = 0
        for data, duration in packets * times:
            packet = av.Packet(data)
            packet.stream = stream
            if (unit := source.streams.audio[0].time_base) is not None:
                packet.time_base = unit
            packet.pts = packet.dts = now
            packet.duration = duration
            now += duration
            target.mux(packet)
    return out.getvalue()


def with_gap(recording: bytes, container_name: str, after_s: float, gap_s: float, **options: str) -> bytes:
    """The same packets in a container whose time line has a gap, as silence that nobody sent leaves one.

    Args:
        recording: any with one audio stream.
        container_name: FFmpeg's name of the container to be written.
        after_s: where the gap begins, in seconds.
        gap_s: its length.
        options: of the container, such as `movflags`.
    """
    out = io.BytesIO()
    with (
        av.open(io.BytesIO(recording), "r") as source,
        av.open(out, "w", format=container_name, container_options=options) as target,
    ):
        heard = source.streams.audio[0]
        stream = target.add_stream_from_template(heard)
        assert heard.time_base is not None
        for packet in source.demux(heard):
            if packet.size and packet.pts is not None:
                if packet.pts * heard.time_base >= after_s:
                    packet.pts += round(gap_s / heard.time_base)
                    packet.dts = packet.pts
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


def of_unknown_sizes(webm: bytes) -> bytes:
    """A Matroska file as browsers record it: segment and clusters do not say how long they are."""
    changed = bytearray(webm)
    for name in (b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"):
        at = webm.find(name)
        while at >= 0:
            length = 9 - webm[at + 4].bit_length()
            changed[at + 4 : at + 4 + length] = ((1 << 7 * length + 1) - 1).to_bytes(length, "big")
            at = webm.find(name, at + 4)
    return bytes(changed)


def encoder_rate(kind: str, wanted: int = 44_100) -> int:
    """The rate that a recipe's encoder takes: its only one, or the wanted one."""
    return _ENCODER_RATES.get(kind, wanted)


def wav(samples: NDArray[np.generic], rate: int, *, data_bytes: int | None = None, **header: int) -> bytes:
    """A WAV file made by hand, so that its header can lie.

    Args:
        samples: array (n,) or (n, channels) of uint8, int16, int32, float32 or float64.
        rate: samples per second in the header.
        data_bytes: what the header says of the data's length instead of the truth.
        header: `channels`, `bits`, `tag` or `block_align` instead of the truth.
    """
    body = np.ascontiguousarray(samples).tobytes()
    bits = header.get("bits", samples.dtype.itemsize * 8)
    channels = header.get("channels", 1 if samples.ndim == 1 else samples.shape[1])
    tag = header.get("tag", 3 if samples.dtype.kind == "f" else 1)
    align = header.get("block_align", channels * bits // 8)
    form = struct.pack("<HHIIHH", tag, channels & 0xFFFF, rate & 0xFFFFFFFF, 0, align & 0xFFFF, bits)
    size = len(body) if data_bytes is None else data_bytes
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + body
    return b"RIFF" + struct.pack("<I", min(len(chunks), 0xFFFFFFFF)) + chunks


def photo(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """An RGB picture with smooth areas, an edge, and a bright top left corner, so that turning it shows."""
    return _photo(width, height, seed).copy()


@lru_cache(maxsize=8)
def _photo(width: int, height: int, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = 128 + 100 * np.sin(x / 17.0) * np.cos(y / 13.0)
    pixels = np.stack([red, green, blue], axis=-1) + random.normal(0, 3, (height, width, 3))
    pixels[: height // 4, : width // 4] = 250
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encode_image(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Encodes a picture with Pillow; `kind` is Pillow's name of a format."""

    def encoded() -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    if image.mode != "RGB" or image.info or not all(type(each) in (int, bool, bytes) for each in options.values()):
        return encoded()
    return _kept_or(encoded, _digest(image.tobytes()), image.size, kind, *sorted(options.items()))


def _kept_or(encoded: Callable[[], bytes], *key: object) -> bytes:
    """What was encoded of the same before, else now."""
    data = _kept.pop(key, None) or encoded()
    _kept[key] = data
    while len(_kept) > _KEPT:
        del _kept[next(iter(_kept))]
    return data


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data).digest()


def _write(
    path: Path,
    recipe: tuple[str, str, str, dict[str, str]],
    channels: NDArray[np.float32],
    rate: int,
    bit_rate: int | None,
) -> None:
    container_name, codec, sample_format, options = recipe
    with av.open(str(path), "w", format=container_name, container_options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=_LAYOUTS[len(channels)])
        assert isinstance(stream, AudioStream)
        stream.codec_context.format = AudioFormat(sample_format)
        if bit_rate is not None or codec in _BIT_RATES:
            stream.bit_rate = bit_rate or _BIT_RATES[codec]
        stream.codec_context.options = {"strict": "experimental", **_QUICK.get(codec, {})}  # strict: that encoder again
        stream.codec_context.open()
        size = stream.codec_context.frame_size or 4_096
        for frame in _frames(channels, rate, sample_format, size):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames(channels: NDArray[np.float32], rate: int, sample_format: str, size: int) -> Iterator[AudioFrame]:
    samples = _as_samples(channels, sample_format.removesuffix("p"))
    for start in range(0, samples.shape[1], size):
        part = samples[:, start : start + size]
        packed = part if sample_format.endswith("p") else part.T.reshape(1, -1)
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(packed), format=sample_format, layout=_LAYOUTS[len(channels)]
        )
        frame.sample_rate = rate
        frame.pts = start
        yield frame


def _as_samples(channels: NDArray[np.float32], kind: str) -> NDArray[np.generic]:
    if kind == "flt":
        return channels.astype(np.float32)
    if kind == "dbl":
        return channels.astype(np.float64)
    if kind == "u8":
        return (np.rint(channels * 127) + 128).astype(np.uint8)
    peak, dtype = (2**15 - 1, np.int16) if kind == "s16" else (2**31 - 1, np.int32)
    return np.rint(channels.astype(np.float64) * peak).astype(dtype)
