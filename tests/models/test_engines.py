import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from models import engines, openvino_engine, torch_engine
from models.conversion import convert_model
from models.devices import cpu_has_bf16, cpu_is_quicker_in_bf16, cuda_is_available
from models.errors import CheckpointMismatch, EngineUnavailable, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.graph import SpoofGraph
from models.labels import SpoofRule
from models.openvino_engine import openvino
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import options, photos, save_face, windows
from tests.test_rooms import imports

ROOT = Path(__file__).parents[2]
needs_bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16")


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that is soon converted: DINOv2 of a single layer, live, spoof."""
    size: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    processor = BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    folder = tmp_path_factory.mktemp("least") / "least"
    return save_face(folder, ["live", "spoof"], processor=processor, image_size=28, patch_size=14, **size)


def pictures() -> list[NDArray[np.uint8]]:
    """As `least` takes them."""
    return [photo[:28, :28] for photo in photos()]


@pytest.fixture
def no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "cpu_has_bf16", lambda: False)
    monkeypatch.setattr(torch_engine, "cpu_has_bf16", lambda: False)


@pytest.mark.skipif(cuda_is_available(), reason="a CUDA device takes precedence")
def test_auto_on_a_cpu_is_openvino_in_the_best_precision(tiny_voice: Path, workspace: Path) -> None:
    info = VoiceSpoofModel.load(str(tiny_voice), options(workspace)).info
    precision = "bf16" if cpu_is_quicker_in_bf16() else "fp32"
    assert (info.engine, info.device, info.precision) == ("openvino", "cpu", precision)
    assert 1 <= info.max_batch_size <= 8


@pytest.mark.skipif(not cuda_is_available(), reason="no CUDA device")
def test_auto_on_cuda_is_torch_in_bf16(tiny_voice: Path, tmp_path: Path) -> None:
    detector = VoiceSpoofModel.load(str(tiny_voice), options(tmp_path))
    assert (detector.info.engine, detector.info.device, detector.info.precision) == ("torch", "cuda", "bf16")
    assert detector.info.max_batch_size >= 32
    plain = VoiceSpoofModel.load(str(tiny_voice), options(tmp_path, engine="openvino", precision="fp32"))
    np.testing.assert_allclose(detector.score(windows()), plain.score(windows()), atol=0.02)


@pytest.mark.usefixtures("no_bf16")
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_without_bf16_auto_is_fp32_and_bf16_is_refused(tiny_voice: Path, workspace: Path, engine: str) -> None:
    if engine == "torch" and cuda_is_available():
        pytest.skip("torch runs on CUDA here")
    assert VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine=engine)).info.precision == "fp32"
    with pytest.raises(EngineUnavailable, match="BONAFIDE_PRECISION=bf16"):
        VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine=engine, precision="bf16"))


def test_a_second_start_converts_nothing_and_needs_neither_torch_nor_weights(
    tiny_voice: Path, workspace: Path, tmp_path: Path
) -> None:
    expected = VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine="openvino")).score(windows(16_000))
    program = (
        "import sys; from pathlib import Path; import numpy; from models.options import LoadOptions\n"
        "from models.voice_model import VoiceSpoofModel\n"
        "chosen = LoadOptions(Path(sys.argv[2]) / 'models', Path(sys.argv[2]) / 'compiled', engine='openvino')\n"
        "detector = VoiceSpoofModel.load(sys.argv[1], chosen)\n"
        "print(*detector.score(list(numpy.load(sys.argv[3]))))\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    np.save(tmp_path / "windows.npy", np.stack(windows(16_000)))
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_voice), str(workspace), str(tmp_path / "windows.npy")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.array(done.stdout.split(), np.float32), expected)


def test_converted_models_are_kept_apart_by_version_and_shared_by_precision(least: Path, tmp_path: Path) -> None:
    for chosen in ({"precision": "fp32"}, {"precision": "auto"}, {"spoof_label": "spoof"}, {"spoof_label": "live"}):
        FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino", **chosen))
    kept = [path.name for path in (tmp_path / "compiled").iterdir() if path.is_dir()]
    assert len(kept) == 2, "one for each spoof class"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_costs_time_not_the_service(least: Path, tmp_path: Path) -> None:
    (tmp_path / "compiled").mkdir(mode=0o500)
    FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino"))


def test_a_file_in_the_way_of_the_folder_costs_time_not_the_service(
    least: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "compiled").touch()
    detector = FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino", precision="fp32"))
    assert "cannot be kept" in caplog.text
    torch_says = FaceSpoofModel.load(str(least), options(tmp_path, engine="torch", precision="fp32"))
    np.testing.assert_allclose(detector.score(pictures()), torch_says.score(pictures()), atol=1e-4)


def test_a_conversion_that_computes_something_else_is_never_served(
    least: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    traced = openvino_engine.traced

    def traces_the_other_class(graph: SpoofGraph, example: torch.Tensor) -> Any:
        graph.rule = SpoofRule(0)
        return traced(graph, example)

    monkeypatch.setattr(openvino_engine, "traced", traces_the_other_class)
    with pytest.raises(UnsupportedModel, match="otherwise than torch"):
        FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino"))
    assert not [path for path in (tmp_path / "compiled").iterdir() if path.is_dir()]

    if not cuda_is_available():
        detector = FaceSpoofModel.load(str(least), options(tmp_path, precision="fp32"))
        assert detector.info.engine == "torch", "auto falls back"
        assert "torch takes its place" in caplog.text


@pytest.mark.parametrize("engine", ["auto", "torch", "openvino"])
def test_weights_that_are_no_numbers_are_refused_by_every_engine(
    engine: str, least: Path, workspace: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(least, tmp_path / "broken"))
    tensors = load_file(broken / "model.safetensors")
    tensors["classifier.weight"][0, 0] = torch.nan
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointMismatch, match="weights hold NaN"):
        FaceSpoofModel.load(str(broken), options(workspace, engine=engine))


def test_a_kept_conversion_that_is_torn_is_made_anew_and_never_copied(least: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, engine="openvino", precision="fp32")
    expected = FaceSpoofModel.load(str(least), chosen).score(pictures())
    (weights,) = (tmp_path / "compiled").glob("*/model.bin")
    whole = weights.read_bytes()
    for torn in (whole[: len(whole) // 2], b""):
        weights.write_bytes(torn)
        np.testing.assert_array_equal(FaceSpoofModel.load(str(least), chosen).score(pictures()), expected)
        assert weights.read_bytes() == whole
    weights.write_bytes(whole[: len(whole) // 2])
    convert_model(str(least), "face", chosen, tmp_path / "converted")
    np.testing.assert_array_equal(FaceSpoofModel.load(str(tmp_path / "converted"), chosen).score(pictures()), expected)


def test_a_full_disk_costs_time_and_where_nothing_is_free_it_is_told(
    least: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save_model, compiled = openvino_engine.openvino.save_model, tmp_path / "compiled"

    def full(model: Any, path: Path, **others: Any) -> None:
        if path.is_relative_to(compiled) or everywhere:
            raise RuntimeError("basic_ios::clear: iostream error")
        save_model(model, path, **others)

    everywhere = False
    monkeypatch.setattr(openvino_engine.openvino, "save_model", full)
    FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino", precision="fp32"))
    assert "cannot be kept" in caplog.text
    everywhere = True
    with pytest.raises(EngineUnavailable, match="make room"):
        FaceSpoofModel.load(str(least), options(tmp_path, engine="openvino", precision="fp32"))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace`:DeprecationWarning")
def test_whole_numbers_stand_once_in_a_graph_that_is_converted() -> None:
    def sums(x: torch.Tensor) -> torch.Tensor:
        return x.sum(1, keepdim=True).sum(1, keepdim=True)[:, 0] + 1.5 * (x[:, 1] + 1.5)

    x = torch.arange(6.0).view(2, 3)
    script: Any = torch.jit.trace(sums, (x,))  # type: ignore[no-untyped-call]
    openvino_engine._name_numbers_once(script.graph)
    constants = [node.output() for node in script.graph.nodes() if node.kind() == "prim::Constant"]
    numbers = [(str(each.type()), each.toIValue()) for each in constants if str(each.type()) != "Tensor"]
    assert len(numbers) == len(set(numbers)) > 3
    assert len(constants) == len(numbers) + 2, "tensors stay apart"
    torch.testing.assert_close(script(x), sums(x))


def test_kept_conversions_change_with_all_code_that_makes_them() -> None:
    """What is imported from where graphs are built, but for what a checkpoint's version tells or no number rests on."""
    folder = Path(openvino_engine.__file__).parent
    told = {"checkpoint", "config_numbers", "errors", "info", "json_files", "labels", "printable", "processor_defaults"}
    told |= {"manifest_fields", "manifest_file", "manifest_names", "weight_files", "__init__"}
    around = {"batch_sizes", "calibration", "card", "catalog", "converted", "cpus", "detector", "devices", "engine"}
    around |= {"engines", "folders", "hub", "options", "scoring", "source", "window_rule", "torch_engine", "onnx_model"}
    around |= {"ensemble_fields", "features", "heads"}
    reached, waiting = set[str](), {"face_model", "voice_model", "silero"}
    while waiting:
        reached |= waiting
        found = {
            name.split(".")[1]
            for module in waiting
            for name in imports(folder / f"{module}.py")
            if name.startswith("models.") and "." in name
        }
        waiting = found - reached - told - around
    assert {f"{name}.py" for name in reached} <= set(openvino_engine._LOGIC)


def test_threads_are_set(tiny_voice: Path, workspace: Path) -> None:
    if not cuda_is_available():
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine="torch", threads=1))
        assert torch.get_num_threads() == 1
        torch.set_num_threads(before)
    engine = VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine="openvino", threads=1))._engine
    assert isinstance(engine, openvino_engine.OpenVINOEngine)
    assert engine._compiled.get_property(openvino.properties.inference_num_threads) == 1


def test_after_warming_up_nothing_of_its_batches_is_held(
    tiny_voice: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Watched(openvino_engine.OpenVINOEngine):
        def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
            done.append("run")
            return super().run(batch)

        def release_memory(self) -> None:
            done.append("release")
            super().release_memory()

    monkeypatch.setattr(openvino_engine, "OpenVINOEngine", Watched)
    VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine="openvino"))
    assert done[0] == "run"
    assert done.index("release") == len(done) - 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process may use one CPU only")
def test_a_model_runs_wherever_there_is_room(tiny_voice: Path, workspace: Path) -> None:
    """Two processes of one thread each would share the first CPU, and all replicas of a machine its first ones."""
    model = VoiceSpoofModel.load(str(tiny_voice), options(workspace, engine="openvino", threads=1))
    allowed = os.sched_getaffinity(0)
    this_thread = threading.get_native_id()
    seen: list[set[int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(os.sched_getaffinity(this_thread))
            time.sleep(1e-4)

    watching = threading.Thread(target=watch)
    watching.start()
    for _ in range(10):
        model.score(windows())
    done.set()
    watching.join()
    assert len(seen) > 10
    assert all(each == allowed for each in seen)


@needs_bf16
def test_reported_precision_is_what_runs(tiny_voice: Path, workspace: Path) -> None:
    for precision, name in (("fp32", "f32"), ("bf16", "bf16")):
        chosen = options(workspace, engine="openvino", precision=precision)
        engine = VoiceSpoofModel.load(str(tiny_voice), chosen)._engine
        assert isinstance(engine, openvino_engine.OpenVINOEngine)
        assert engine._compiled.get_property(openvino.properties.hint.inference_precision).get_type_name() == name


def test_ready_is_logged_with_what_runs(tiny_voice: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=engines.logger.name):
        info = VoiceSpoofModel.load(str(tiny_voice), options(tmp_path, engine="torch")).info
    ready = caplog.records[-1]
    assert (ready.message, vars(ready)["engine"], vars(ready)["precision"]) == ("engine ready", "torch", info.precision)
