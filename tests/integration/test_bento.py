"""The built Bento, not the checkout: what is in it, and that it answers as the checkout does."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bonafide_client import AsyncBonafideClient, AudioDetectionClient, BonafideClient
from scripts.local_service import ROOT, LocalService, running
from tests.models.hub_server import serve_hub

COMMANDS = {"models/fetch.py"}
"""What is run by itself in an image."""


def build(home: Path, *arguments: str) -> Path:
    """Builds a Bento in a store of its own and returns its folder."""
    command = [sys.executable, "-m", "scripts.bento", *arguments]
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    name, version = built.stdout.split()[-1].split(":")
    return home / "bentos" / name / version


@contextmanager
def serving(home: Path, folder: Path, **environment: str) -> Iterator[LocalService]:
    """Serves the newest Bento of a store from a folder that holds nothing of the checkout."""
    ours = {"BENTOML_HOME": str(home), "PYTHONPATH": "", "BONAFIDE_OBJECTS_DIR": str(ROOT / "data/objects")}
    with running(
        folder / "log",
        {**ours, **environment},
        target="bonafide:latest",
        folder=folder,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def bento(home: Path) -> Path:
    return build(home)


def needed(source: Path) -> set[str]:
    """The Python files that `service.py` and the commands reach by importing, wherever in a file they do."""
    found: set[str] = set()
    todo = ["service.py", *COMMANDS]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse((source / file).read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for module in modules:
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
    assert needed(source) <= code
    assert not {path for path in code - needed(source) if not path.startswith("bonafide/")}
    assert needed(ROOT) <= code, "an import that is left out"
    rest = {path for path in held - code if not path.startswith("web/")}
    assert {path for path in rest if not path.startswith("models/bundled/")} == {"bentofile.yaml"}
    assert {"models/bundled/voice/model.safetensors", "models/bundled/face/model.safetensors"} <= rest


@pytest.mark.slow
def test_its_packages_are_pinned_and_fewer_than_a_developer_has(bento: Path) -> None:
    lines = (bento / "env/python/requirements.txt").read_text().splitlines()
    packages = {line.split("==")[0]: line for line in lines if "==" in line}
    assert {"bentoml", "torch", "grpcio", "openvino"} <= packages.keys()
    assert not {"pytest", "mypy", "scikit-learn", "matplotlib", "buf-bin"} & packages.keys()
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
    developers = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = (ROOT / "deploy/image/requirements.lock").read_text().splitlines()
    assert {line for line in pinned if "==" in line} <= set(developers), "run `make lock`"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_it_answers_as_the_checkout_does(
    bento: Path, home: Path, service: LocalService, tmp_path: Path, call_mp3: Path, face_jpg: Path
) -> None:
    with serving(home, tmp_path) as built:
        async with (
            AsyncBonafideClient(built.address) as ours,
            AsyncBonafideClient(service.address) as theirs,
            httpx.AsyncClient(timeout=60) as http,
            AudioDetectionClient(f"ws://127.0.0.1:{built.http_port}/ws/detect") as live,
            AudioDetectionClient(f"ws://127.0.0.1:{service.http_port}/ws/detect") as their_live,
        ):
            a, b = await ours.analyze_file(call_mp3), await theirs.analyze_file(call_mp3)
            assert [chunk.score for chunk in a.chunks] == pytest.approx([chunk.score for chunk in b.chunks], abs=1e-6)
            assert (a.model, a.label, a.threshold) == (b.model, b.label, b.threshold)
            x, y = await ours.predict_liveness(face_jpg), await theirs.predict_liveness(face_jpg)
            assert (x.model, x.label) == (y.model, y.label)
            assert (await ours.analyze_object("samples", "call.mp3")).score == pytest.approx(a.score, abs=1e-6)
            answer = await http.post(f"{built.url}/detect_audio", content=call_mp3.read_bytes())
            assert answer.json()["score"] == pytest.approx(a.score, abs=1e-6)
            said, they_said = await live.send_audio_file(call_mp3), await their_live.send_audio_file(call_mp3)
            assert [window.score for window in said] == pytest.approx([window.score for window in they_said], abs=1e-6)


@pytest.mark.deploy
def test_models_travel_with_it_or_are_fetched_where_it_is_deployed(
    tmp_path: Path, call_mp3: Path, face_jpg: Path
) -> None:
    voice, face, folder = tmp_path / "wavlm-bank", tmp_path / "hub", tmp_path / "elsewhere"
    shutil.copytree(ROOT / "models/bundled/voice", voice)
    shutil.copytree(ROOT / "models/bundled/face", face)
    folder.mkdir()
    bento = build(tmp_path / "home", "--voice", str(voice), "--face", "bank/faces")
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
