"""ONNX detectors behind one service: a published face model's scores, and a voice model of longer windows than 4 s."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonafide.settings import Settings
from bonafide_client import AsyncBonafideClient, FaceBox
from lab.served import ServedModel
from models.face_model import FaceSpoofModel
from scripts.local_service import LocalService
from tests.integration.published_service import FACTOR, PUBLISHED, with_models
from tests.integration.replaceable import ReplaceableService
from tests.integration.test_same_samples import RATE, assert_same, samples, spoken_over_the_socket, streamed, windows_of
from tests.media import encode_image, wav
from tests.models.checkpoints import options
from tests.models.onnx_files import softmax
from tests.published import needs_weights, reference

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group(PUBLISHED), needs_weights]


@pytest.fixture(scope="module")
def onnx_service(long_windows: Path, one_minifasnet: Path, published_service: ReplaceableService) -> LocalService:
    return with_models(published_service, long_windows, one_minifasnet)


@pytest.fixture(scope="module")
def evaluation(long_windows: Path) -> ServedModel:
    return ServedModel(str(long_windows), "voice", Settings(min_speech_ratio=0))


@pytest.mark.parametrize("seconds", [1.0, 9.3])
async def test_every_way_gives_a_model_of_longer_windows_the_same_ones(
    onnx_service: LocalService, evaluation: ServedModel, tmp_path: Path, seconds: float
) -> None:
    pcm = samples(seconds)
    recording = wav(pcm, RATE)
    async with AsyncBonafideClient(onnx_service.address) as client:
        expected = windows_of(await client.analyze_file(recording))
        stored = windows_of(await client.analyze_object("calls", "a.wav")) if seconds == 9.3 else []
    assert len(expected) == -(-seconds // 4)
    async with httpx.AsyncClient(base_url=onnx_service.url, timeout=120) as http:
        posted: list[dict[str, Any]] = (await http.post("/detect_audio", content=recording)).json()["chunks"]
    (tmp_path / "a.wav").write_bytes(recording)
    scores = [each.score for each in evaluation.score(evaluation.read(tmp_path / "a.wav"))]
    ways = {
        "http": [(each["start_time_seconds"], each["end_time_seconds"], each["score"]) for each in posted],
        "stream": (await streamed(onnx_service, pcm.tobytes()))[0],
        "socket": (await spoken_over_the_socket(onnx_service, pcm.astype(np.float32) / np.float32(32_768)))[0],
        "evaluation": [(*window[:2], score) for window, score in zip(expected, scores, strict=True)],
    }
    if seconds == 9.3:
        ways["object"] = stored
    for way, found in ways.items():
        assert_same(found, expected, way, within=1e-5)


async def test_minifasnet_has_its_authors_scores_over_grpc(onnx_service: LocalService) -> None:
    """No face is found in the reference pictures, so that they are judged whole."""
    expected = 1 - softmax(reference("minifasnet-v2-2.7-80x80"))[:, 1]
    async with AsyncBonafideClient(onnx_service.address) as client:
        for bgr, score in zip(reference("images_bgr"), expected, strict=True):
            photo = Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))
            report = await client.predict_liveness(encode_image(photo, "PNG"))
            assert report.score == pytest.approx(score, abs=1e-3)
            assert report.reason == "no_face"


async def test_a_face_is_cut_out_by_the_models_factor(
    onnx_service: LocalService, one_minifasnet: Path, face_jpg: Path
) -> None:
    """Cut and resized here by the rule as it is published, from the box that the service tells."""
    photo = Image.open(face_jpg).convert("RGB")
    async with AsyncBonafideClient(onnx_service.address) as client:
        report = await client.predict_liveness(encode_image(photo, "PNG"))
    part = photo.crop(around(report.faces[0], FACTOR, photo.size))
    detector = FaceSpoofModel.load(str(one_minifasnet), options(one_minifasnet.parent))
    (expected,) = detector.score([plain_bilinear(np.asarray(part), 80)])
    assert report.score == pytest.approx(expected, abs=1e-3)


def around(face: FaceBox, factor: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The face's box times the factor, shifted into the picture, and smaller where that is not enough."""
    spans = ((face.left, face.width), (face.top, face.height))
    pixels = [
        (int(start * edge), round((start + length) * edge)) for (start, length), edge in zip(spans, size, strict=True)
    ]
    factor = min(factor, *(edge / (last - first) for (first, last), edge in zip(pixels, size, strict=True)))
    edges = []
    for (first, last), edge in zip(pixels, size, strict=True):
        side = round(factor * (last - first))
        start = min(max(0, round((first + last - side) / 2)), edge - side)
        edges.append((start, start + side))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def plain_bilinear(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    made = np.zeros((side, side, 3), np.uint8)
    for row in range(side):
        for column in range(side):
            y = min(max(0.0, (row + 0.5) * pixels.shape[0] / side - 0.5), pixels.shape[0] - 1.001)
            x = min(max(0.0, (column + 0.5) * pixels.shape[1] / side - 0.5), pixels.shape[1] - 1.001)
            (top, left), (down, across) = (int(y), int(x)), (y % 1, x % 1)
            four = pixels[top : top + 2, left : left + 2].astype(float)
            made[row, column] = np.rint(
                (four[0, 0] * (1 - across) + four[0, 1] * across) * (1 - down)
                + (four[1, 0] * (1 - across) + four[1, 1] * across) * down
            )
    return made


async def test_the_status_call_tells_what_is_served(onnx_service: LocalService) -> None:
    async with httpx.AsyncClient(base_url=onnx_service.url, timeout=120) as http:
        status = json.dumps((await http.get("/model_status")).json())
    assert "tiny-face@1" in status
    assert "tiny-voice@1" in status
