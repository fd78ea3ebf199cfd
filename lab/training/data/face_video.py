"""Compression of video: a picture as a frame of a replayed clip, or of a video call, coded by real encoders.

In and out: float32 (h, w, 3) sRGB in 0..1.
"""

import io
from fractions import Fraction
from typing import Final, Literal

import av
import numpy as np
from numpy.typing import NDArray

from lab.training.data.face_camera import Plane

_FRAMES: Final = 4
Codec = Literal["libx264", "mpeg4"]
_CODECS: Final[tuple[Codec, ...]] = ("libx264", "mpeg4")


def as_video(picture: Plane, rng: np.random.Generator) -> Plane:
    """The last of a few frames in which the picture moves a little, after encoding and decoding.

    Args:
        picture: a column or row is lost where its width or height is odd.
        rng: draws codec, quality and motion.
    """
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    pixels = np.round(np.clip(picture[:height, :width], 0, 1) * 255).astype(np.uint8)
    step = rng.integers(-2, 3, 2)
    frames = [np.roll(pixels, tuple(step * left), axis=(0, 1)) for left in range(_FRAMES - 1, -1, -1)]
    decoded = _decode(_encode(frames, _CODECS[int(rng.integers(len(_CODECS)))], float(rng.uniform(0.3, 1.0))))
    return np.asarray(decoded.astype(np.float32) / 255, np.float32)


def _encode(frames: list[NDArray[np.uint8]], codec: Codec, quality: float) -> bytes:
    """A clip in a container; quality is 0..1."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"crf": str(round(44 - 22 * quality)), "preset": "ultrafast"}
        else:
            height, width = frames[0].shape[:2]
            stream.bit_rate = int(25 * height * width * (0.08 + 0.5 * quality))
        stream.codec_context.time_base = Fraction(1, 25)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _decode(data: bytes) -> NDArray[np.uint8]:
    """The last frame, RGB."""
    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].thread_type = "NONE"
        *_, last = container.decode(video=0)
    return np.asarray(last.to_ndarray(format="rgb24"), np.uint8)
