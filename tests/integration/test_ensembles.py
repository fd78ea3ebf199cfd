"""Ensembles behind one service: the MiniFASNet pair with a crop each; AASIST beside a small model."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonafide_client import AsyncBonafideClient
from models.face_model import FaceSpoofModel
from models.voice_model import VoiceSpoofModel
from scripts.local_service import LocalService
from tests.integration.published_service import PUBLISHED, with_models
from tests.integration.replaceable import ReplaceableService
from tests.integration.test_onnx import around, plain_bilinear
from tests.integration.test_same_samples import RATE, samples, socket_summary, stream_summary
from tests.media import encode_image, wav
from tests.models.checkpoints import options
from tests.models.onnx_files import (
    PAIR,
    aasist,
    ensemble_manifest,
    minifasnet_pair,
    save,
    save_ensemble,
    softmax,
    voice_manifest,
    voice_onnx,
)
from tests.published import needs_weights, reference

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group(PUBLISHED), needs_weights]

VOICES = ("small", "aasist")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("ensembles")
    save(folder / "voices" / "small", voice_onnx(), voice_manifest(window={"samples": 64_000}))
    aasist(folder / "voices" / "aasist")
    members = [{"model": name, "name": name} for name in VOICES]
    fusion = {"rule": "log_odds", "weights": [0.25, 0.75], "intercept": 0.5}
    save_ensemble(folder / "voices", ensemble_manifest("voice", members, fusion=fusion))
    return folder / "voices", minifasnet_pair(folder / "faces")


@pytest.fixture(scope="module")
def fused_service(models: tuple[Path, Path], published_service: ReplaceableService) -> LocalService:
    return with_models(published_service, *models)


async def test_the_pair_is_the_mean_of_both_programs_over_grpc(fused_service: LocalService) -> None:
    """No face is found in the reference pictures, so that both members are given all of them."""
    both = {f"{weights}@1": 1 - softmax(reference(weights))[:, 1] for weights in PAIR}
    async with AsyncBonafideClient(fused_service.address) as client:
        for place, bgr in enumerate(reference("images_bgr")):
            photo = Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))
            report = await client.predict_liveness(encode_image(photo, "PNG"))
            expected = {name: scores[place] for name, scores in both.items()}
            assert report.member_scores == pytest.approx(expected, abs=1e-3)
            assert report.score == pytest.approx(np.mean(list(expected.values())), abs=1e-3)
        assert report.model.name == "pair-face@1"


async def test_each_member_is_given_its_own_crop_of_a_face(
    fused_service: LocalService, models: tuple[Path, Path], face_jpg: Path
) -> None:
    photo = Image.open(face_jpg).convert("RGB")
    async with AsyncBonafideClient(fused_service.address) as client:
        report = await client.predict_liveness(encode_image(photo, "PNG"))
    (face, *_) = report.faces
    expected = {}
    for weights, factor in PAIR.items():
        part = photo.crop(around(face, factor, photo.size))
        detector = FaceSpoofModel.load(str(models[1] / weights), options(models[1]))
        (score,) = detector.score([plain_bilinear(np.asarray(part), 80)])
        expected[f"{weights}@1"] = float(score)
    assert len(set(expected.values())) == 2
    assert report.member_scores == pytest.approx(expected, abs=1e-3)
    assert report.score == pytest.approx(np.mean(list(expected.values())), abs=1e-3)


async def test_voices_are_fused_by_their_log_odds_over_grpc(
    fused_service: LocalService, models: tuple[Path, Path]
) -> None:
    """64,600 samples are a chunk of 64,000, and a last one: all of them for AASIST, its end for the small model."""
    small = VoiceSpoofModel.load(str(models[0] / "small"), options(models[0]))
    ends = [pcm[-64_000:] for pcm in reference("pcm")]
    both: dict[str, NDArray[Any]] = {"small": small.score(ends), "aasist": softmax(reference("aasist-asvspoof5"))[:, 0]}
    async with AsyncBonafideClient(fused_service.address) as client:
        for place, pcm in enumerate(reference("pcm")[:2]):
            report = await client.analyze_file(wav(pcm, 16_000))
            first, last = report.chunks
            assert (first.end_s, last.start_s, last.end_s) == pytest.approx((4.0, 0.0375, 4.0375))
            expected = {name: scores[place] for name, scores in both.items()}
            assert last.member_scores == pytest.approx(expected, abs=1e-3)
            assert last.score == pytest.approx(fused(last.member_scores), abs=1e-4)
            assert report.member_scores.keys() == set(VOICES)
            # Of the cache, with the members' scores.
            again = await client.analyze_file(wav(pcm, 16_000))
            assert (again.chunks, again.member_scores) == (report.chunks, report.member_scores)


async def test_every_way_lists_the_members_scores(fused_service: LocalService) -> None:
    pcm = samples(5.0)
    recording = wav(pcm, RATE)
    async with AsyncBonafideClient(fused_service.address) as client:
        report = await client.analyze_file(recording)
        stored = await client.analyze_object("calls", "b.wav")
        statuses = [await client.voice_status(), await client.face_status()]
    expected = table([each.member_scores for each in report.chunks])
    assert expected.shape == (2, 2)
    async with httpx.AsyncClient(base_url=fused_service.url, timeout=120) as http:
        posted: dict[str, Any] = (await http.post("/detect_audio", content=recording)).json()
        status = json.dumps((await http.get("/model_status")).json())
    floats = pcm.astype(np.float32) / np.float32(32_768)
    stream, socket = await stream_summary(fused_service, pcm.tobytes()), await socket_summary(fused_service, floats)
    ways = {
        "object": [each.member_scores for each in stored.chunks],
        "http": [each["member_scores"] for each in posted["chunks"]],
        "stream": [each.member_scores for each in stream.windows],
        "socket": [each.member_scores for each in socket.windows],
    }
    for way, found in ways.items():
        np.testing.assert_allclose(table(found), expected, atol=1e-4, err_msg=way)
    mean = report.member_scores
    for way, same in {"http": posted["member_scores"], "stream": stream, "socket": socket}.items():
        means = same if way == "http" else dict(same.member_scores)
        assert means == pytest.approx(dict(mean), abs=1e-4), way
    for one in statuses:
        assert [each.weight for each in one.members] == ([0.25, 0.75] if "small" in one.members[0].name else [1.0, 1.0])
    assert '"weight": 0.75' in status


def fused(members: Any) -> float:
    odds = 0.5 + sum(
        weight * np.log(members[name] / (1 - members[name])) for name, weight in (("small", 0.25), ("aasist", 0.75))
    )
    return float(1 / (1 + np.exp(-odds)))


def table(rows: Any) -> NDArray[np.float64]:
    return np.array([[row[name] for name in VOICES] for row in rows])
