import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import ModelUnavailable, NotConverted
from models.hub import saved_model
from tests.models.hub_server import COMMIT, Hub, serve_hub

REPOSITORY = "someone/liveness"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "on the hub"
    for name in (
        "config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin", "training_args.bin",
        "own.py", "checkpoint-500/model.safetensors", "onnx/model.onnx", "README.md",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


@pytest.fixture
def hub(repository: Path) -> Iterator[Hub]:
    with serve_hub(repository, REPOSITORY) as running:
        yield running


def _save(models_dir: Path, endpoint: str, reference: str = REPOSITORY, **environment: str) -> tuple[int, str]:
    """Runs the download in a process of its own: the client reads its endpoint when it is imported."""
    program = (
        "import sys; from pathlib import Path\n"
        "from models.catalog import find_model; from models.errors import ModelError\n"
        "try: print(find_model(sys.argv[1], 'face', Path(sys.argv[2])).path)\n"
        "except ModelError as error: sys.exit(f'{type(error).__name__}: {error}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, reference, str(models_dir)],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "3",
             "HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_downloads_what_is_needed_once(hub: Hub, tmp_path: Path) -> None:
    status, path = _save(tmp_path / "models", hub.url)
    assert status == 0, path
    assert Path(path) == tmp_path / "models/hub/someone--liveness/main"
    assert _files(Path(path)) == ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    assert (Path(path) / "model.safetensors").read_text() == "content of model.safetensors"
    before = len(hub.requests)
    assert _save(tmp_path / "models", hub.url) == (0, path)
    assert len(hub.requests) == before, "a saved model is not asked for again"
    assert saved_model(REPOSITORY, "main", tmp_path / "models", offline=True) == Path(path)


def test_an_installation_for_cpus_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(NotConverted, match=rf"run `python -m models\.convert {REPOSITORY} --out FOLDER`"):
        saved_model(REPOSITORY, "main", tmp_path / "models", offline=False)


def test_a_revision_is_saved_beside_the_others(hub: Hub, tmp_path: Path) -> None:
    status, path = _save(tmp_path / "models", hub.url, f"{REPOSITORY}@{COMMIT}")
    assert status == 0, path
    assert Path(path) == tmp_path / "models/hub/someone--liveness" / COMMIT


def test_pickled_weights_only_where_there_are_no_others(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / "model.safetensors").unlink()
    status, path = _save(tmp_path / "models", hub.url)
    assert status == 0, path
    assert _files(Path(path)) == ["README.md", "config.json", "preprocessor_config.json", "pytorch_model.bin"]


def test_a_variant_is_no_reason_to_leave_the_weights_out(repository: Path, hub: Hub, tmp_path: Path) -> None:
    (repository / "model.safetensors").rename(repository / "model-00001-of-00001.fp16.safetensors")
    status, path = _save(tmp_path / "models", hub.url)
    assert status == 0, path
    assert "pytorch_model.bin" in _files(Path(path))


def test_a_download_that_breaks_off_is_never_taken_for_whole(hub: Hub, tmp_path: Path) -> None:
    hub.torn.add("model.safetensors")
    status, message = _save(tmp_path / "models", hub.url)
    assert status == 1
    assert "ModelUnavailable: cannot download" in message
    assert _files(tmp_path / "models") == ["hub/someone--liveness/.main.lock"]
    hub.torn.clear()
    assert _save(tmp_path / "models", hub.url)[0] == 0


@pytest.mark.parametrize("reference", ["no/such", f"{REPOSITORY}@nowhere"])
def test_what_the_hub_does_not_know_is_said_so(hub: Hub, tmp_path: Path, reference: str) -> None:
    status, message = _save(tmp_path / "models", hub.url, reference)
    assert status == 1
    assert "the hub knows no such model" in message


def test_not_every_repository_is_a_checkpoint(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / "config.json").unlink()
    status, message = _save(tmp_path / "models", hub.url)
    assert status == 1
    assert "no transformers checkpoint" in message


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_an_unreachable_hub_names_the_ways_out(tmp_path: Path, environment: dict[str, str]) -> None:
    status, message = _save(tmp_path / "models", "http://127.0.0.1:9", **environment)
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
