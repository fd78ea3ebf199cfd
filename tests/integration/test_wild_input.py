"""What attackers, broken phones and truncated uploads send: a correct result or the documented error on both APIs."""

import json
import zlib
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from bonafide_client import AsyncBonafideClient, BonafideError
from scripts.local_service import ROOT, LocalService
from tests import hostile
from tests.integration.curl import curl
from tests.integration.waiting import Stopwatch, wait_active
from tests.media import encode, encode_image, encoder_rate, photo, speech_like, wav

pytestmark = pytest.mark.beside

QUICK_S = 15.0
"""For an input of a few bytes on a busy machine; alone it takes a few milliseconds."""
STATUS = {"invalid_request": 400, "unreadable_media": 422, "too_large": 413}
UNREADABLE, TOO_LARGE = "unreadable_media", "too_large"
TRUNCATED = "truncated"
_fresh = count(1)


class Judged(NamedTuple):
    """A correct result: the number of chunks, and whether it warns that the file is truncated."""

    chunks: int
    truncated: bool = False


def with_bad_samples(value: float) -> bytes:
    """Four seconds of 32-bit float with one sample in the middle that is not a valid level."""
    sound = speech_like(4)[0].copy()
    sound[30_000] = value
    return wav(sound, 16_000)


def first_part(kind: str, kept: float, seconds: float = 17.0) -> bytes:
    """The beginning of a file that was truncated on its way."""
    rate = encoder_rate(kind, 16_000)
    whole = encode(speech_like(seconds, rate), rate, kind)
    return whole[: int(kept * len(whole))]


def local_sample(kind: str) -> bytes:
    """A playlist that names a recording which really lies in the folder the service runs in."""
    return hostile.playlists(Path("samples/call.mp3"))[kind][1].replace(b"call.mp3", b"samples/call.mp3")


PCM = np.rint(speech_like(9)[0] * 32_767).astype(np.int16)
RECORDINGS: dict[str, tuple[Callable[[], bytes], Judged | str]] = {
    "a tenth of a second": (lambda: encode(speech_like(0.1), 16_000), Judged(1)),
    "a single sample": (lambda: wav(PCM[:1], 16_000), Judged(1)),
    "silence": (lambda: wav(np.zeros(9 * 16_000, np.int16), 16_000), Judged(3)),
    "192 kHz": (lambda: encode(speech_like(5, 192_000), 192_000), Judged(2)),
    "8 channels": (lambda: encode(speech_like(5, 16_000, channels=8), 16_000), Judged(2)),
    "17 channels": (lambda: wav(np.zeros((16_000, 17), np.int16), 16_000), TOO_LARGE),
    "384 kHz": (lambda: wav(np.zeros(16_000, np.int16), 384_000), TOO_LARGE),
    "NaN in a float wav": (lambda: with_bad_samples(np.nan), UNREADABLE),
    "infinity in a float wav": (lambda: with_bad_samples(np.inf), UNREADABLE),
    "loud floats": (lambda: with_bad_samples(1e30), UNREADABLE),
    "header promises an hour": (lambda: wav(PCM, 16_000, data_bytes=2 * 3_600 * 16_000), Judged(3, truncated=True)),
    "header promises 1 GB": (lambda: wav(PCM, 16_000, data_bytes=2**30), Judged(3, truncated=True)),
    "header promises 4 GB, as streams do": (lambda: wav(PCM, 16_000, data_bytes=0xFFFFFFF0), Judged(3)),
    "header promises nothing": (lambda: wav(PCM, 16_000, data_bytes=0), Judged(3)),
    "header without a rate": (lambda: wav(PCM, 0), UNREADABLE),
    "header with 4 GHz": (lambda: wav(PCM, 0xFFFFFFFF), UNREADABLE),
    "header without channels": (lambda: wav(PCM, 16_000, channels=0), UNREADABLE),
    "header with 65,535 channels": (lambda: wav(PCM, 16_000, channels=65_535), UNREADABLE),
    "header without bits": (lambda: wav(PCM, 16_000, bits=0), UNREADABLE),
    "half a wav": (lambda: first_part("wav", 0.5), Judged(3, truncated=True)),
    "half an mp3": (lambda: first_part("mp3", 0.5), Judged(3, truncated=True)),
    "half a flac": (lambda: first_part("flac", 0.5), Judged(3, truncated=True)),
    "half an opus": (lambda: first_part("opus", 0.5), Judged(2, truncated=True)),
    "half an m4a, its table gone": (lambda: first_part("m4a", 0.5), UNREADABLE),
    "half an m4a, its table there": (lambda: first_part("m4a-faststart", 0.5), Judged(3, truncated=True)),
    "only a header": (lambda: wav(PCM[:0], 16_000), UNREADABLE),
    "nothing": (lambda: b"", UNREADABLE),
    "zeros": (lambda: bytes(100_000), UNREADABLE),
    "a photo": (lambda: encode_image(photo()), UNREADABLE),
    "a page": (lambda: b"<!doctype html><title>404</title>" * 50, UNREADABLE),
    "a program": (lambda: b"\x7fELF\x02\x01\x01" + bytes(5_000), UNREADABLE),
    "an ffconcat that names a local file": (lambda: local_sample("ffconcat"), UNREADABLE),
    "an hls list that names a local file": (lambda: local_sample("hls"), UNREADABLE),
    "a dash list that names a local file": (lambda: local_sample("dash"), UNREADABLE),
    "an sdp": (lambda: local_sample("sdp"), UNREADABLE),
    "samples in a local file": (lambda: hostile.external_pcm(ROOT / "samples" / "call.mp3"), UNREADABLE),
    "a fragment with a billion samples": (lambda: hostile.huge_fragment(2**30), UNREADABLE),
    "a header that unpacks to 64 MB": (lambda: hostile.compressed_header(2**26), UNREADABLE),
    "an edit list without end": (lambda: hostile.repeated_edits(1_000), UNREADABLE),
    "tags that unpack to gigabytes": (lambda: hostile.growing_tags(64, 2**24), Judged(1)),
}


def black_png(edge: int) -> bytes:
    """A true black PNG of `edge` times `edge` pixels, one bit each."""
    pack = zlib.compressobj(1)
    row = bytes(1 + edge // 8)
    body = b"".join(pack.compress(row * 1_000) for _ in range(edge // 1_000)) + pack.flush()
    empty = zlib.compress(b"", 9)
    return hostile.png(edge, edge, depth=1, colour=0).replace(
        hostile.png_chunk(b"IDAT", empty), hostile.png_chunk(b"IDAT", body)
    )


PHOTOS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a true PNG of 50,000 x 50,000": (lambda: black_png(50_000), TOO_LARGE),
    "a header of 50,000 x 50,000": (lambda: hostile.png(50_000, 50_000), TOO_LARGE),
    "a header of 2 billion x 2 billion": (lambda: hostile.png(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "more bytes than a photo may have": (lambda: encode_image(photo()) + bytes(16 * 2**20), TOO_LARGE),
    "half a JPEG": (lambda: encode_image(photo())[:3_000], UNREADABLE),
    "half a PNG": (lambda: encode_image(photo(), "PNG")[:20_000], UNREADABLE),
    "a PNG without rows": (lambda: hostile.png(100, 100), UNREADABLE),
    "a PNG of no pixels": (lambda: hostile.png(0, 0), UNREADABLE),
    "a TIFF": (lambda: encode_image(photo(), "TIFF"), UNREADABLE),
    "an EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n", UNREADABLE),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', UNREADABLE),
    "a recording": (lambda: encode(speech_like(1), 16_000), UNREADABLE),
    "nothing": (lambda: b"", UNREADABLE),
}


@pytest.fixture(autouse=True)
async def afterwards_the_service_is_well(service: LocalService, client: AsyncBonafideClient) -> AsyncIterator[None]:
    """After any input, a new recording and a new photo are judged, and all slots are free."""
    yield
    assert len((await client.analyze_file(encode(speech_like(1, seed=next(_fresh)), 16_000))).chunks) == 1
    assert (await client.predict_liveness(encode_image(photo(seed=next(_fresh))))).label in ("fake", "live")
    await wait_active(service, 0)


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording(client: AsyncBonafideClient, http: httpx.AsyncClient, name: str) -> None:
    make, expected = RECORDINGS[name]
    data = make()
    watch = Stopwatch()
    try:
        report = await client.analyze_file(data)
    except BonafideError as error:
        over_grpc: Judged | str = error.code
    else:
        over_grpc = Judged(len(report.chunks), any(TRUNCATED in warning for warning in report.warnings))
        assert all(chunk.score is None or 0 <= chunk.score <= 1 for chunk in report.chunks)
    answer = await http.post("/detect_audio", content=data)
    body = answer.json()
    if answer.status_code == 200:
        over_http: Judged | str = Judged(len(body["chunks"]), any(TRUNCATED in text for text in body["warnings"]))
    else:
        over_http = str(body["error"]["code"])
        assert answer.status_code == STATUS[over_http]
        assert body["error"]["message"]
    assert (over_grpc, over_http) == (expected, expected)
    assert watch.seconds < QUICK_S


@pytest.mark.parametrize("name", PHOTOS)
async def test_a_photo(client: AsyncBonafideClient, http: httpx.AsyncClient, name: str) -> None:
    make, expected = PHOTOS[name]
    data = make()
    watch = Stopwatch()
    with pytest.raises(BonafideError) as caught:
        await client.predict_liveness(data)
    answer = await http.post("/predict_liveness", content=data)
    assert (caught.value.code, answer.json()["error"]["code"]) == (expected, expected)
    assert answer.status_code == STATUS[expected]
    assert watch.seconds < QUICK_S


async def test_an_upload_over_the_limit(service: LocalService, client: AsyncBonafideClient) -> None:
    data = wav(PCM, 16_000) + bytes(128 * 2**20)
    with pytest.raises(BonafideError) as caught:
        await client.analyze_file(data)
    refusal = json.loads(await curl(f"{service.url}/detect_audio", data))
    assert (caught.value.code, refusal["error"]["code"]) == (TOO_LARGE, TOO_LARGE)
