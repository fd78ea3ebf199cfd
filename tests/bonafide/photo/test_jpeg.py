"""A JPEG whose end is missing, or behind which something follows: its picture is whole, or it is refused."""

import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bonafide.errors import UnreadableMedia
from tests.bonafide.photo.reading import difference, read
from tests.media import encode_image, photo


@pytest.mark.parametrize("progressive", [False, True])
class TestTheEndOfAJpeg:
    def test_a_film_behind_it_is_no_part_of_it(self, progressive: bool) -> None:
        data = encode_image(photo(), "JPEG", progressive=progressive)
        assert np.array_equal(read(data + b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x02" * 100_000), read(data))

    def test_the_marker_may_be_missing(self, progressive: bool) -> None:
        data = encode_image(photo(), "JPEG", progressive=progressive)
        assert data.endswith(b"\xff\xd9")
        assert np.array_equal(read(data[:-2]), read(data))

    @pytest.mark.parametrize("missing", [10, 200, 2_000])
    def test_pixels_may_not(self, progressive: bool, missing: int) -> None:
        data = encode_image(photo(), "JPEG", progressive=progressive)
        with pytest.raises(UnreadableMedia, match="truncated"):
            read(data[:-missing])


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"quality": 95}),
        ("L", {"optimize": True}),
        ("RGB", {"restart_marker_blocks": 1}),
        ("RGB", {"restart_marker_rows": 1}),
        ("RGB", {"progressive": True}),
        ("L", {"progressive": True, "restart_marker_rows": 1}),
    ],
)
def test_a_jpeg_is_whole_wherever_it_is_cut_or_refused(mode: str, options: dict[str, Any]) -> None:
    """Within a byte 255 of two bytes, before a restart, between scans, and within the last block too."""
    require_whole_or_refused(encode_image(photo(40, 32).convert(mode), "JPEG", **options))


def test_a_jpeg_of_a_scan_for_each_channel_is_whole_or_refused() -> None:
    greys = [encode_image(channel, "JPEG") for channel in photo(40, 32).convert("YCbCr").split()]
    one = greys[0]
    frame, tables, scan = one.index(b"\xff\xc0"), one.index(b"\xff\xc4"), one.index(b"\xff\xda")
    channels = b"".join(bytes((channel, 0x11, 0)) for channel in (1, 2, 3))
    header = one[:frame] + b"\xff\xc0\0\x11" + one[frame + 4 : frame + 9] + b"\x03" + channels
    scans = [
        b"\xff\xda\0\x08\x01" + bytes([channel]) + grey[grey.index(b"\xff\xda") + 6 : -2]
        for channel, grey in enumerate(greys, 1)
    ]
    data = header + one[tables:scan] + b"".join(scans) + b"\xff\xd9"
    assert difference(read(data), photo(40, 32)) < 4
    require_whole_or_refused(data)


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
@pytest.mark.parametrize("options", [{"quality": 98}, {"quality": 98, "restart_marker_rows": 1}, {"progressive": True}])
def test_a_jpeg_that_was_not_written_to_its_end(options: dict[str, Any], fill: bytes) -> None:
    """What was never written of a file with a length from the start reads as zeros, which libjpeg takes for pixels."""
    data = encode_image(grey_noise(0, 240), "JPEG", **options)
    assert np.array_equal(read(data[:-2] + fill * 4_096), read(data))
    for kept in (0.3, 0.5, 0.9):
        written = data[: int(kept * len(data))]
        with pytest.raises(UnreadableMedia, match="truncated"):
            read(written + fill * (len(data) - len(written)))


@pytest.mark.parametrize(("mode", "last"), [("RGB", b"\0"), ("L", b"\xff\0")], ids=["zero", "stuffed 255"])
def test_a_picture_may_end_with_a_zero_where_zeros_follow(mode: str, last: bytes) -> None:
    pictures = (encode_image(grey_noise(seed, 16).convert(mode), "JPEG", quality=98) for seed in range(5_000))
    data = next(data for data in pictures if data[:-2].endswith(last))
    assert np.array_equal(read(data[:-2] + bytes(4_096)), read(data))


def grey_noise(seed: int, height: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(128.0, 60.0, (height, 4 * height // 3)).clip(0, 255)
    return Image.fromarray(noise.astype(np.uint8)).convert("RGB")


def require_whole_or_refused(data: bytes) -> None:
    """Wherever a JPEG is cut."""
    whole = read(data)
    taken = 0
    for cut in range(2, len(data)):
        with suppress(UnreadableMedia):
            assert np.array_equal(read(data[:cut]), whole), f"{len(data) - cut} bytes are missing"
            taken += 1
    assert taken >= 2, "the end marker alone may be missing"


def test_a_jpeg_of_millions_of_markers() -> None:
    data = encode_image(photo(), "JPEG")
    started = time.perf_counter()
    with pytest.raises(UnreadableMedia, match="too many segments"):
        read(data[:2] + b"\xff\xfe\0\x02" * 3_000_000 + data[2:])
    assert time.perf_counter() - started < 1
