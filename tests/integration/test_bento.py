"""The built Bento, not the checkout: what is in it, and that it answers as the checkout does."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest

from bonafide_client import AsyncBonafideClient, AudioDetectionClient, BonafideClient
from models.converted import read_converted
from scripts.local_service import ROOT, LocalService, running, start
from tests.cpu_environment import make_cpu_environment
from tests.integration.locked import LockedService
from tests.integration.tiny_models import tiny_voice
from tests.models.hub_server import serve_hub
from tests.scheduling import SHARED

# Most of the time is the conversion of both models. All of it is done where the service runs to which one compares it.
pytestmark = [pytest.mark.timeout(900), pytest.mark.beside, pytest.mark.xdist_group(SHARED)]

COMMANDS = {"models/fetch.py", "models/first_load.py", "models/convert.py", "models/manifest.py"}
"""What is run by itself in an image."""


CONVERSION = {"torch", "torchaudio", "transformers", "triton", "safetensors", "huggingface-hub"}
"""Packages that convert checkpoints, or run them on CUDA."""


def build(home: Path, *arguments: str) -> Path:
    """Builds a Bento in a store of its own and returns its folder."""
    command = [sys.executable, "-m", "scripts.bento", *arguments]
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    name, version = built.stdout.split()[-1].split(":")
    return home / "bentos" / name / version


@contextmanager
def serving(
    home: Path, folder: Path, python: Path = Path(sys.executable), **environment: str
) -> Iterator[LocalService]:
    """Serves the newest Bento of a store from a folder that holds nothing of the checkout."""
    ours = {"BENTOML_HOME": str(home), "PYTHONPATH": "", "BONAFIDE_OBJECTS_DIR": str(ROOT / "data/objects")}
    with running(
        folder / "log",
        {**ours, **environment},
        target="bonafide:latest",
        folder=folder,
        python=python,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def bento(home: Path) -> Path:
    """The variant `cpu`."""
    return build(home)


@pytest.fixture(scope="module")
def cpu_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds no more than the image `cpu`."""
    return make_cpu_environment(tmp_path_factory.mktemp("cpu") / "environment")


@cache
def imported(code: str) -> list[str]:
    """The modules that a file imports, or may: the Bento has the checkout's files, whose text is the same."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return modules


def needed(source: Path) -> set[str]:
    """The Python files that `service.py` and the commands reach by importing, wherever in a file they do."""
    found: set[str] = set()
    todo = ["service.py", *COMMANDS]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for module in imported((source / file).read_text(encoding="utf-8")):
            parts = module.split(".")
            for end in range(1, len(parts) + 1):
                path = "/".join(parts[:end])
                todo += [each for each in (f"{path}.py", f"{path}/__init__.py") if (source / each).is_file()]
    return found


@pytest.mark.slow
def test_it_holds_what_the_service_needs_and_no_more(bento: Path) -> None:
    source = bento / "src"
    held = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    code = {path for path in held if path.endswith(".py")}
    reached = needed(source)
    assert reached <= code
    assert not {path for path in code - reached if not path.startswith("bonafide/")}
    assert needed(ROOT) <= code, "an import that is left out"
    rest = {path for path in held - code if not path.startswith("web/")}
    assert {path for path in rest if not path.startswith("models/bundled/")} == {"bentofile.yaml"}


@pytest.mark.slow
def test_its_models_are_converted(bento: Path) -> None:
    bundled = bento / "src/models/bundled"
    assert sorted(path.name for path in bundled.iterdir()) == ["face", "speech", "voice"]
    for task in ("voice", "face", "speech"):
        assert read_converted(bundled / task).task == task
    assert not list(bundled.rglob("*.safetensors"))
    assert {path.name for path in (bundled / "voice").iterdir()} >= {"calibration.json", "README.md", "speech"}


@pytest.mark.slow
def test_its_packages_are_pinned_and_none_is_for_conversion(bento: Path) -> None:
    lines = (bento / "env/python/requirements.txt").read_text().splitlines()
    packages = {line.split("==")[0]: line for line in lines if "==" in line}
    assert {"bentoml", "grpcio", "openvino"} <= packages.keys()
    assert not CONVERSION & packages.keys()
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)


def test_the_images_have_parts_of_one_resolution() -> None:
    def pinned(path: str) -> set[str]:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "http" not in re.sub(r"(?m)^(aio|aio.*-|opentelemetry.*)?http\S*==.*|^ *#.*", "", text), "an index"
        return {line for line in text.splitlines() if "==" in line}

    developers = pinned("requirements.lock")
    cpu, cuda = (pinned(f"deploy/image/requirements-{variant}.lock") for variant in ("cpu", "cuda"))
    assert cpu < cuda < developers, "run `make lock`"
    assert {"torch", "transformers"} <= {line.split("==")[0] for line in cuda}
    assert not {"pytest", "mypy", "scikit-learn", "matplotlib", "buf-bin"} & {line.split("==")[0] for line in cuda}
    assert not [line for line in cpu if line.startswith(("nvidia-cu", "cuda-", "triton"))]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_without_torch_it_answers_as_the_checkout_does(
    bento: Path, home: Path, cpu_python: Path, locked: LockedService, tmp_path: Path, call_mp3: Path, face_jpg: Path
) -> None:
    url, key = locked.service.live_url, locked.keys["bank"]
    with serving(home, tmp_path, cpu_python) as built:
        async with (
            AsyncBonafideClient(built.address) as ours,
            AsyncBonafideClient(locked.service.address, api_key=key) as theirs,
            httpx.AsyncClient(timeout=60) as http,
            AudioDetectionClient(f"ws://127.0.0.1:{built.http_port}/ws/detect") as live,
            AudioDetectionClient(url, api_key=key) as their_live,
        ):
            a, b = await ours.analyze_file(call_mp3), await theirs.analyze_file(call_mp3)
            assert [chunk.score for chunk in a.chunks] == pytest.approx([chunk.score for chunk in b.chunks], abs=1e-6)
            assert (a.model, a.label, a.threshold) == (b.model, b.label, b.threshold)
            x, y = await ours.predict_liveness(face_jpg), await theirs.predict_liveness(face_jpg)
            assert (x.model, x.label) == (y.model, y.label)
            assert x.score == pytest.approx(y.score, abs=1e-6)
            assert (await ours.analyze_object("samples", "call.mp3")).score == pytest.approx(a.score, abs=1e-6)
            answer = await http.post(f"{built.url}/detect_audio", content=call_mp3.read_bytes())
            assert answer.json()["score"] == pytest.approx(a.score, abs=1e-6)
            said, they_said = await live.send_audio_file(call_mp3), await their_live.send_audio_file(call_mp3)
            assert [window.score for window in said] == pytest.approx([window.score for window in they_said], abs=1e-6)


@pytest.mark.slow
def test_without_torch_a_checkpoint_stops_the_start_in_a_sentence(
    bento: Path, home: Path, cpu_python: Path, tmp_path: Path
) -> None:
    settings = {
        "BENTOML_HOME": str(home),
        "PYTHONPATH": "",
        "BONAFIDE_VOICE_MODEL": str(tiny_voice()),
        "BONAFIDE_FACE_MODEL": str(ROOT / "models/bundled/face"),
        "BONAFIDE_MODELS_DIR": str(tmp_path / "m"),
        "BONAFIDE_LOG_FORMAT": "json",
    }
    service = start(tmp_path / "log", settings, target="bonafide:latest", folder=tmp_path, python=cpu_python)
    assert service.process.wait(120) == 1
    log = service.log.read_text()
    assert "face is not converted, and torch, which converts it, is not installed here" in log
    assert "`python -m models.convert REFERENCE --out FOLDER`" in log
    assert "Traceback" not in log


@pytest.mark.deploy
def test_models_travel_with_it_or_are_fetched_where_it_is_deployed(
    tmp_path: Path, call_mp3: Path, face_jpg: Path
) -> None:
    voice, face, folder = tmp_path / "wavlm-bank", tmp_path / "hub", tmp_path / "elsewhere"
    shutil.copytree(ROOT / "models/bundled/voice", voice)
    shutil.copytree(ROOT / "models/bundled/face", face)
    folder.mkdir()
    bento = build(tmp_path / "home", "--variant", "cuda", "--voice", str(voice), "--face", "bank/faces")
    shutil.rmtree(voice)
    assert not (bento / "src/models/bank").exists()
    with (
        serve_hub(face, "bank/faces") as hub,
        serving(
            tmp_path / "home",
            folder,
            HF_ENDPOINT=hub.url,
            HF_HUB_DISABLE_XET="1",
            BONAFIDE_MODELS_DIR=str(tmp_path / "m"),
        ) as service,
        BonafideClient(service.address) as client,
    ):
        report = client.analyze_file(call_mp3)
        assert report.model.name.startswith("bonafide-voice:")
        assert not report.model.demo
        verdict = client.predict_liveness(face_jpg)
        assert (verdict.model.name, verdict.model.demo) == ("bank/faces", False)
        assert hub.requests


@pytest.mark.deploy
def test_models_are_converted_when_a_bento_for_cpus_is_built(
    tmp_path: Path, cpu_python: Path, call_mp3: Path, face_jpg: Path
) -> None:
    """A folder and a hub id: nothing is fetched or converted where it is deployed."""
    voice, face, folder = tmp_path / "wavlm-bank", tmp_path / "hub", tmp_path / "elsewhere"
    shutil.copytree(ROOT / "models/bundled/voice", voice)
    shutil.copytree(ROOT / "models/bundled/face", face)
    folder.mkdir()
    with serve_hub(face, "bank/faces") as hub, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_ENDPOINT", hub.url)
        environment.setenv("HF_HUB_DISABLE_XET", "1")
        environment.setenv("BONAFIDE_MODELS_DIR", str(tmp_path / "m"))
        build(tmp_path / "home", "--voice", str(voice), "--face", "bank/faces")
    shutil.rmtree(voice)
    with (
        serving(tmp_path / "home", folder, cpu_python, BONAFIDE_MODELS_DIR=str(tmp_path / "empty")) as service,
        BonafideClient(service.address) as client,
    ):
        report = client.analyze_file(call_mp3)
        assert (report.model.name, report.model.demo) == ("wavlm-bank", False)
        verdict = client.predict_liveness(face_jpg)
        assert (verdict.model.name, verdict.model.demo) == ("bank/faces", False)
