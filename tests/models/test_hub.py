import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.errors import ModelUnavailable, NotConverted
from models.hub import saved_model
from tests.models.hub_server import COMMIT, Hub, serve_hub

REPOSITORY = "someone/liveness"
ROOT = Path(__file__).parents[2]


_PROGRAM = """\
import json
import sys
from pathlib import Path
from models.catalog import find_model
from models.errors import ModelError
for line in sys.stdin:
    reference, models_dir = json.loads(line)
    try:
        answer = [0, str(find_model(reference, "face", Path(models_dir)).path)]
    except ModelError as error:
        answer = [1, f"{type(error).__name__}: {error}"]
    print(json.dumps(answer), flush=True)
"""
"""Downloads in a process of its own: the client reads its endpoint when it is imported."""

Save = Callable[..., tuple[int, str]]


@contextmanager
def _client(endpoint: str, **environment: str) -> Iterator[Save]:
    """Saves models of a hub: a folder for models and a reference -> 0 and the model's folder, or 1 and why not."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "3",
             "HF_HUB_DISABLE_XET": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:  # fmt: skip
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def save(models_dir: Path, reference: str = REPOSITORY) -> tuple[int, str]:
            asked.write(json.dumps([reference, str(models_dir)]) + "\n")
            status, said = json.loads(answers.readline())
            return status, said

        yield save


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Hub, Save]]:
    """The folder of a repository, the hub that serves it, and its client."""
    folder = tmp_path_factory.mktemp("hub")
    with serve_hub(folder, REPOSITORY) as running, _client(running.url) as save:
        yield folder, running, save


@pytest.fixture
def repository(served: tuple[Path, Hub, Save]) -> Path:
    folder = served[0]
    shutil.rmtree(folder)
    for name in (
        "config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin", "training_args.bin",
        "own.py", "checkpoint-500/model.safetensors", "onnx/model.onnx", "README.md",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


@pytest.fixture
def hub(served: tuple[Path, Hub, Save], repository: Path) -> Hub:
    hub = served[1]
    hub.requests.clear()
    hub.torn.clear()
    return hub


@pytest.fixture
def save(served: tuple[Path, Hub, Save], hub: Hub) -> Save:
    return served[2]


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_downloads_what_is_needed_once(hub: Hub, save: Save, tmp_path: Path) -> None:
    status, path = save(tmp_path / "models")
    assert status == 0, path
    assert Path(path) == tmp_path / "models/hub/someone--liveness/main"
    assert _files(Path(path)) == ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    assert (Path(path) / "model.safetensors").read_text() == "content of model.safetensors"
    before = len(hub.requests)
    assert save(tmp_path / "models") == (0, path)
    assert len(hub.requests) == before, "a saved model is not asked for again"
    assert saved_model(REPOSITORY, "main", tmp_path / "models", offline=True) == Path(path)


def test_an_installation_for_cpus_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(NotConverted, match=rf"run `python -m models\.convert {REPOSITORY} --out FOLDER`"):
        saved_model(REPOSITORY, "main", tmp_path / "models", offline=False)


def test_a_revision_is_saved_beside_the_others(save: Save, tmp_path: Path) -> None:
    status, path = save(tmp_path / "models", f"{REPOSITORY}@{COMMIT}")
    assert status == 0, path
    assert Path(path) == tmp_path / "models/hub/someone--liveness" / COMMIT


def test_pickled_weights_only_where_there_are_no_others(save: Save, repository: Path, tmp_path: Path) -> None:
    (repository / "model.safetensors").unlink()
    status, path = save(tmp_path / "models")
    assert status == 0, path
    assert _files(Path(path)) == ["README.md", "config.json", "preprocessor_config.json", "pytorch_model.bin"]


def test_a_variant_is_no_reason_to_leave_the_weights_out(repository: Path, save: Save, tmp_path: Path) -> None:
    (repository / "model.safetensors").rename(repository / "model-00001-of-00001.fp16.safetensors")
    status, path = save(tmp_path / "models")
    assert status == 0, path
    assert "pytorch_model.bin" in _files(Path(path))


def test_a_download_that_breaks_off_is_never_taken_for_whole(hub: Hub, save: Save, tmp_path: Path) -> None:
    hub.torn.add("model.safetensors")
    status, message = save(tmp_path / "models")
    assert status == 1
    assert "ModelUnavailable: cannot download" in message
    assert _files(tmp_path / "models") == ["hub/someone--liveness/.main.lock"]
    hub.torn.clear()
    assert save(tmp_path / "models")[0] == 0


@pytest.mark.parametrize("reference", ["no/such", f"{REPOSITORY}@nowhere"])
def test_what_the_hub_does_not_know_is_said_so(save: Save, tmp_path: Path, reference: str) -> None:
    status, message = save(tmp_path / "models", reference)
    assert status == 1
    assert "the hub knows no such model" in message


def test_not_every_repository_is_a_checkpoint(save: Save, repository: Path, tmp_path: Path) -> None:
    (repository / "config.json").unlink()
    status, message = save(tmp_path / "models")
    assert status == 1
    assert "no transformers checkpoint" in message


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_an_unreachable_hub_names_the_ways_out(tmp_path: Path, environment: dict[str, str]) -> None:
    with _client("http://127.0.0.1:9", **environment) as save:
        status, message = save(tmp_path / "models")
    assert status == 1
    assert message.startswith(f"ModelUnavailable: cannot download {REPOSITORY} from the hub")
    for way_out in ("a folder", "BONAFIDE_MODELS_DIR", "HF_ENDPOINT", "bundled"):
        assert way_out in message


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ModelUnavailable, match=r"BONAFIDE_MODELS_DIR \(/dev/null/models\): .*Not a directory"):
        saved_model(REPOSITORY, "main", Path("/dev/null/models"), offline=False)


def test_offline_never_asks(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="BONAFIDE_OFFLINE"):
        saved_model(REPOSITORY, "main", tmp_path, offline=True)
    assert hub.requests == []
