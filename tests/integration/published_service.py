"""One service for the tests of published detectors, which put theirs in the place of its models."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from scripts.local_service import LocalService
from tests.integration.replaceable import ReplaceableService, replaceable_service
from tests.integration.test_same_samples import RATE, samples
from tests.media import wav
from tests.models.onnx_files import minifasnet, save, voice_manifest, voice_onnx

PUBLISHED = "published"
"""The group of these tests, for `tests/scheduling.py`: one worker starts the service."""
FACTOR = 2.7
"""Of the crop of `one_minifasnet`."""


@pytest.fixture(scope="package")
def long_windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny voice model of windows of 64,600 samples: its score depends on the energy of all of them."""
    onnx = voice_onnx(weights=np.array([[25.0, -25.0]], np.float32))
    return save(tmp_path_factory.mktemp("long") / "long", onnx, voice_manifest())


@pytest.fixture(scope="package")
def one_minifasnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published face model."""
    return minifasnet(tmp_path_factory.mktemp("face") / "minifasnet", factor=FACTOR)


@pytest.fixture(scope="package")  # idle it would take a thirtieth of a core until the session ends
def published_service(
    tmp_path_factory: pytest.TempPathFactory, long_windows: Path, one_minifasnet: Path
) -> Iterator[ReplaceableService]:
    """It begins with `long_windows` and `one_minifasnet`; its objects are `calls/a.wav`, 9.3 s, and `calls/b.wav`, 5 s.

    Windows without speech are judged as well: the reference inputs are noise.
    """
    folder = tmp_path_factory.mktemp("published")
    (folder / "objects" / "calls").mkdir(parents=True)
    for name, seconds in (("a", 9.3), ("b", 5.0)):
        (folder / "objects" / "calls" / f"{name}.wav").write_bytes(wav(samples(seconds), RATE))
    settings = {
        "BONAFIDE_VOICE_MODEL": str(long_windows),
        "BONAFIDE_FACE_MODEL": str(one_minifasnet),
        "BONAFIDE_VOICE_MAX_BATCH": "2",  # a model that is loaded computes a full batch
        "BONAFIDE_OBJECTS_DIR": str(folder / "objects"),
    }
    with replaceable_service(folder / "log", settings) as started:
        yield started


def with_models(published: ReplaceableService, voice: Path, face: Path) -> LocalService:
    """The service, with these models, unless it has them."""
    status = httpx.get(f"{published.service.url}/model_status", timeout=60).json()
    for name, reference in (("voice", voice), ("face", face)):
        if status[name]["local_path"] != str(reference):
            answer = published.replace(name, reference)
            assert answer.status_code == 200, answer.text
    return published.service
