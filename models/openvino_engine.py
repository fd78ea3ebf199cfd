"""The OpenVINO engine for CPUs: converts a graph once, keeps the result on disk, and loads it from there."""

import functools
import hashlib
import logging
import sys
import tempfile
import threading
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.batch_sizes import batch_size
from models.converted import GRAPH
from models.cpus import usable_cpus
from models.devices import cpu_has_bf16, cpu_is_quicker_in_bf16
from models.engine import EngineModel, require_numbers
from models.errors import EngineUnavailable, NotConverted, UnsupportedModel
from models.folders import build_once
from models.info import Device, EngineName, Precision
from models.options import LoadOptions

# OpenVINO's converter reports each conversion over the network, unless this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino as openvino  # type: ignore[import-untyped]  # noqa: E402
from openvino import properties  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

_PROBABILITY_TOLERANCE = 1e-3
"""Largest difference to torch, both in fp32, that a fresh conversion may show; 1e-6 is usual."""
KEPT_SHAPES = 256
"""Of operations of one kind, how many are kept ready for shapes that they had before; 5,000 by default.

Short windows have any length, and what is kept for one more takes up to 3 MB.
"""
_USE_TORCH = "serve it by torch (BONAFIDE_ENGINE=torch), which is slower on a CPU"
_LOGIC = (
    "adapters.py",
    "branch.py",
    "classifier.py",
    "convolutional_dinov2.py",
    "crop_branch.py",
    "face_model.py",
    "graph.py",
    "inverted_residual.py",
    "merging.py",
    "openvino_engine.py",
    "pooled_wavlm.py",
    "power_branch.py",
    "preprocessing.py",
    "silero.py",
    "spectral_branch.py",
    "statistics_wavlm.py",
    "voice_model.py",
    "weights.py",
)
"""Source files that determine what a converted model computes, and that a checkpoint's version does not tell."""


class OpenVINOEngine:
    """Runs the converted graph on the CPU.

    The converted model is kept below `options.compiled_dir`, under a name that changes with the model, with the code
    that made it and with the libraries' versions. Starting from it needs neither torch nor the checkpoint's weights.
    One that is converted already (`model.converted`) is read from its folder.

    Raises:
        NotConverted: it is not converted, and torch is not installed.
        EngineUnavailable: bf16 is requested on a CPU without it.
        UnsupportedModel: the graph cannot be converted, or computes other values when converted.
    """

    name: EngineName = "openvino"
    device: Device = "cpu"

    def __init__(self, model: EngineModel, options: LoadOptions) -> None:
        core = openvino.Core()
        self.precision: Precision = cpu_precision(core, options)
        self.max_batch_size = batch_size(model.task, self.device, options.max_batch)
        settings = cpu_settings(self.precision, options.threads)
        self._compiled = core.compile_model(_converted(model, options, core), "CPU", settings)
        self._request = self._compiled.create_infer_request()
        self._turn = threading.Lock()

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See `models.engine.Engine`."""
        with self._turn:
            result: NDArray[np.float32] = self._request.infer([batch])[0].astype(np.float32)  # a copy: theirs is reused
            return result

    def release_memory(self) -> None:
        """Gives back what batches took between input and output, until the next one takes as much as it needs."""
        self._compiled.release_memory()


def cpu_settings(precision: Precision, threads: int) -> dict[Any, Any]:
    """What a model is compiled with; `threads` of 0: all CPUs that this process may use."""
    return {
        properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision: "bf16" if precision == "bf16" else "f32",
        properties.inference_num_threads: threads or usable_cpus(),
        # OpenVINO would hold its threads to the first CPUs, where those of all other processes on the machine are too.
        properties.hint.enable_cpu_pinning: False,
        "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
    }


def cpu_precision(core: openvino.Core, options: LoadOptions) -> Precision:
    """The arithmetic that the options name, if this CPU has it.

    Raises:
        EngineUnavailable: bf16 is requested on a CPU without it.
    """
    # OpenVINO reports BF16 on every AVX-512 CPU too, where it would only emulate it.
    has_bf16 = cpu_has_bf16() and "BF16" in core.get_property("CPU", properties.device.capabilities)
    if options.precision == "auto":
        return "bf16" if has_bf16 and cpu_is_quicker_in_bf16() else "fp32"
    if options.precision == "bf16" and not has_bf16:
        raise EngineUnavailable("BONAFIDE_PRECISION=bf16, but this CPU has no bf16 arithmetic; use auto or fp32")
    return options.precision


def _converted(model: EngineModel, options: LoadOptions, core: openvino.Core) -> openvino.Model:
    """The converted model, from disk when it was converted before."""
    if model.converted is not None:
        return _read(model.converted, core)
    folder = kept_folder(model, options)
    kept: list[openvino.Model] = []

    def is_whole(folder: Path) -> bool:
        if (found := readable(folder, core)) is not None:
            kept.append(found)
        return found is not None

    try:
        build_once(folder, lambda fresh: convert(model, fresh, core), is_whole)
    except OSError as error:
        logger.warning("converted models cannot be kept: each start converts again", extra={"reason": str(error)})
        return _converted_unkept(model, core)
    return kept[0] if kept else _read(folder, core)


def _converted_unkept(model: EngineModel, core: openvino.Core) -> openvino.Model:
    try:
        with tempfile.TemporaryDirectory() as fresh:
            convert(model, Path(fresh), core)
            # Mapped weights stay readable after their file is gone.
            return core.read_model(Path(fresh) / GRAPH)
    except OSError as error:
        raise EngineUnavailable(
            f"{model.name} cannot be converted: there is room for it neither below BONAFIDE_MODELS_DIR nor in the "
            f"folder for temporary files ({error}); make room, and run this again"
        ) from error


def readable(folder: Path, core: openvino.Core | None = None) -> openvino.Model | None:
    """The graph that is kept in a folder; None: it is torn, or OpenVINO does not read it any more."""
    try:
        return (core or openvino.Core()).read_model(folder / GRAPH)
    except RuntimeError as error:
        logger.warning("a kept model cannot be read, and is converted anew: %s: %s", folder, error)
        return None


def _read(folder: Path, core: openvino.Core) -> openvino.Model:
    try:
        return core.read_model(folder / GRAPH)
    except RuntimeError as error:
        raise UnsupportedModel(
            f"the converted model in {folder} cannot be read ({error}); remove that folder"
        ) from error


def kept_folder(model: EngineModel, options: LoadOptions) -> Path:
    """Where its converted graph is kept on this machine, once it was converted.

    Raises:
        NotConverted: torch or transformers is not installed.
    """
    return options.compiled_dir / f"{model.version}-{toolchain(model)}"


def convert(model: EngineModel, folder: Path, core: openvino.Core | None = None) -> None:
    """Converts, compares with torch on input of another shape than it was traced with, and saves as `model.xml`.

    Args:
        model: whose graph is built and converted.
        folder: an empty one.
        core: OpenVINO's, if there is one.

    Raises:
        NotConverted: torch is not installed.
        CheckpointMismatch: the model computes no numbers.
        UnsupportedModel: the graph cannot be converted, or computes other values when converted.
        OSError: the folder cannot be written.
    """
    try:
        import torch
        import transformers  # noqa: F401  # most graphs need it, and the sentence is the same
    except ModuleNotFoundError as error:
        raise _not_converted(model, error) from error

    core = core or openvino.Core()
    logger.info("converting model for OpenVINO", extra={"model": model.name})
    graph = model.build().eval()
    traced_with = model.probe(2, model.sizes[-1])
    compared_on = model.probe(3, model.sizes[0])
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each size it takes for a constant; the comparison decides
        expected = graph(torch.from_numpy(compared_on)).numpy()
        require_numbers(model.name, expected)
        try:
            converted = traced(graph, torch.from_numpy(traced_with))
            converted.reshape(list(model.input_shape))
            compiled = core.compile_model(converted, "CPU", {properties.hint.inference_precision: "f32"})
            got = compiled([compared_on])[0]
        except Exception as error:  # the frontend raises errors of many unrelated classes
            raise UnsupportedModel(f"OpenVINO cannot convert {model.name}: {error}; {_USE_TORCH}") from error
    difference = float(np.abs(got - expected).max())
    if not difference <= _PROBABILITY_TOLERANCE:
        raise UnsupportedModel(
            f"OpenVINO computes {model.name} otherwise than torch: scores differ by {difference:.3g}; {_USE_TORCH}"
        )
    save(converted, folder / GRAPH)


def save(graph: openvino.Model, path: Path) -> None:
    """Writes a graph in fp32: the file, and its weights beside it.

    Raises:
        OSError: they cannot be written, such as on a full disk.
    """
    try:
        openvino.save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as error:  # of the C++ stream, without a reason
        raise OSError(f"{path} cannot be written: is the disk full?") from error


def traced(module: "nn.Module", example: "Tensor") -> openvino.Model:
    """Converts a torch module by computing it once.

    Torch would compute it five times more, to compare the trace with the module on the same input; callers compare what
    it was converted to on another one.

    Args:
        module: of one input and one output. Its parameters have no gradient afterwards.
        example: an input; sizes that the module does not compute with may be others later.
    """
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # type: ignore[import-untyped]

    class Decoder(TorchScriptPythonDecoder):  # type: ignore[misc]  # untyped
        def _get_scripted_model(self, *given: object) -> Any:
            script = super()._get_scripted_model(*given)
            _name_numbers_once(script.graph)
            return script

    decoder = Decoder(_whole(module), example_input=example, trace_kwargs={"check_trace": False})
    return openvino.convert_model(decoder, example_input=example)


def _name_numbers_once(graph: Any) -> None:
    """Makes one constant of all whole numbers of one value in a torch graph, and so of truths and of nothing.

    A trace has one for each use, more than of all else, and OpenVINO asks for the fields of each. Floats and tensors
    stay apart: operations that share one are not fused.
    """
    first: dict[tuple[str, object], Any] = {}
    for node in list(graph.nodes()):
        if node.kind() == "prim::Constant" and (kind := str(node.output().type())) in ("int", "bool", "NoneType"):
            known = first.setdefault((kind, node.output().toIValue()), node.output())
            if known is not node.output():
                node.output().replaceAllUsesWith(known)
                node.destroy()


def _whole(module: "nn.Module") -> "nn.Module":
    """A module of no parts that computes what `module` does, with its tensors as constants.

    Torch copies each part of a module that it traces into a scripted one, and OpenVINO looks each tensor up through all
    the parts around it: that takes longer than all else.
    """
    from torch import nn

    class Whole(nn.Module):
        def forward(self, raw: "Tensor") -> "Tensor":
            computed: Tensor = module(raw)
            return computed

    module.requires_grad_(False)  # a trace has no constants that have gradients
    return Whole().eval()


def _not_converted(model: EngineModel, error: ModuleNotFoundError) -> NotConverted:
    return NotConverted(
        f"{model.name} is not converted, and torch, which converts it, is not installed here ({error}); run "
        f"`python -m models.convert REFERENCE --out FOLDER` in a checkout or in the cuda image, and set "
        f"BONAFIDE_{model.task.upper()}_MODEL to that FOLDER"
    )


def toolchain(model: EngineModel) -> str:
    """8 hex digits that change with whatever turns a checkpoint into a converted model.

    Args:
        model: to be converted, for the message.

    Raises:
        NotConverted: torch or transformers is not installed.
    """
    try:
        return _toolchain()
    except PackageNotFoundError as error:
        raise _not_converted(model, error) from error


@functools.cache
def _toolchain() -> str:
    """As `toolchain`: to look up a package's version takes longer than to read a small model."""
    digest = hashlib.sha256()
    for name in _LOGIC:
        digest.update((Path(__file__).parent / name).read_bytes())
    for package in ("openvino", "torch", "transformers"):
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()[:8]
