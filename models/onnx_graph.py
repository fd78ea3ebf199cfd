"""An ONNX file as an OpenVINO graph, and whether it is what its manifest says. No library of operators is ever loaded.

Folder and manifest in; the graph, the shape of its items and its output's index out.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadManifest, UnsupportedModel
from models.manifest_fields import Manifest, SamplesInput, SampleWindow
from models.manifest_names import IR, MANIFEST, ONNX, WRAP
from models.onnx_file import check_onnx
from models.openvino_engine import openvino

_SHARED = 0.02
"""By how much probabilities that classes share may miss 1, in bf16."""
UNKNOWN_OUTPUT = (
    f"the shape of {ONNX}'s output is not known, as behind a squeeze() without a dimension, which takes the batch's "
    "away too: name the dimension, or leave it out, and export it again"
)
_FLOATS = ("f32", "f16", "f64")
_EXACTLY = 1e-5
"""By how much they may miss it to be told from logits."""
# fmt: off
_MOVING = frozenset((
    "Convert", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze",
    "VariadicSplit",
))
# fmt: on
"""Operators whose output has values of their first input, as they are."""
_MAX_DESCRIPTION_BYTES = 64 << 20
"""Of `model.xml`: some 400 KB are usual."""


@dataclass(frozen=True)
class OnnxGraph:
    """A graph that fits its manifest.

    Attributes:
        graph: OpenVINO's.
        files: the ONNX file, and those that hold its weights.
        item_shape: of one item of its input: `(samples,)` or `(1, samples)`, -1 where lengths may vary; or a picture's.
        output: index of the output that is read.
        batch: items that it takes at once; None: any number.
        parameters: numbers in its weights.
    """

    graph: Any
    files: tuple[Path, ...]
    item_shape: tuple[int, ...]
    output: int
    batch: int | None
    parameters: int


def read_graph(path: Path) -> tuple[Any, list[Path]]:
    """The OpenVINO graph of an ONNX file, and the files that it was read from.

    Raises:
        UnsupportedModel: see `check_onnx`; or it has operators that OpenVINO does not know.
    """
    files = check_onnx(path)
    try:
        return openvino.Core().read_model(path), files
    except Exception as error:  # the frontend raises errors of many unrelated classes
        raise UnsupportedModel(
            f"OpenVINO cannot read {path}: {_reason(error)}; export it again, with operators of ONNX alone"
        ) from error


def _read_converted(path: Path) -> tuple[Any, list[Path]]:
    """The graph that `models.convert` wrote, and its files: OpenVINO's own format, which names no other file.

    Raises:
        UnsupportedModel: it is torn, or of another version of OpenVINO.
    """
    files = [path, path.with_suffix(".bin")]
    if path.stat().st_size > _MAX_DESCRIPTION_BYTES or not files[1].is_file():
        raise UnsupportedModel(f"{path} is too large, or its weights {files[1].name} are missing; convert it again")
    try:
        return openvino.Core().read_model(path), files
    except Exception as error:  # the frontend raises errors of many unrelated classes
        raise UnsupportedModel(f"OpenVINO cannot read {path}: {_reason(error)}; convert it again") from error


def fitting_graph(folder: Path, manifest: Manifest) -> OnnxGraph:
    """The graph of `model.onnx` in a folder, or of a converted `model.xml`, compared with the manifest.

    Raises:
        UnsupportedModel: see `read_graph`.
        BadManifest: the graph is not what a field says.
    """
    converted = folder / IR
    is_converted = converted.is_file() and not (folder / ONNX).exists()
    graph, files = _read_converted(converted) if is_converted else read_graph(folder / ONNX)
    if len(graph.inputs) != 1:
        raise UnsupportedModel(f"{ONNX} has {len(graph.inputs)} inputs; one is served: {_named(graph.inputs)}; {WRAP}")
    (port,) = graph.inputs
    if manifest.input.name not in port.get_names():
        raise _wrong("input.name", f"the graph's input is {_named(graph.inputs)}")
    kind = port.get_element_type().get_type_name()
    if kind != "f32":
        raise UnsupportedModel(f"the input of {ONNX} is {kind}; export it with float32 inputs")
    named = [index for index, each in enumerate(graph.outputs) if manifest.output.name in each.get_names()]
    if not named:
        raise _wrong("output.name", f"the graph's outputs are {_named(graph.outputs)}")
    shape = dimensions(port)
    batch = None if shape[:1] == (-1,) else shape[0] if shape else 0
    if batch not in (None, 1):
        raise UnsupportedModel(f"{ONNX} takes {batch} items at once; export it with a dynamic batch or one of 1")
    last = last_operator(graph.outputs[named[0]])
    if last in ("Softmax", "Sigmoid") and manifest.output.kind != "probabilities":
        raise _wrong("output.kind", f"{manifest.output.kind}, but the graph ends with a {last.lower()}: probabilities")
    if last == "LogSoftmax" and not manifest.output.classes:
        raise _wrong("output.name", "it is the log of one class's probability: export what all classes have, as logits")
    check_output(dimensions(graph.outputs[named[0]]), manifest)
    item = _samples(shape, manifest.input) if isinstance(manifest.input, SamplesInput) else _picture(shape, manifest)
    if -1 in item and isinstance(manifest.input, SamplesInput):
        _check_shortest(graph, item, manifest.input.window)
    return OnnxGraph(graph, tuple(files), item, named[0], batch, _parameters(graph))


def check_output(shape: tuple[int, ...], manifest: Manifest) -> None:
    """Compares the shape of an output, -1 where it is not known, with what `output` says of it.

    Raises:
        BadManifest: it is another.
        UnsupportedModel: not even its rank is known, or it is no output of each item.
    """
    if not shape:
        raise UnsupportedModel(UNKNOWN_OUTPUT)
    known = [size for size in shape[1:] if size != 1]
    if len(known) > 1 or (len(shape) > 2 and known):
        raise _wrong("output.name", f"it has the shape {shape}, which is no row of classes for each item")
    classes = known[0] if known else 1
    if classes < 0:
        return
    indices = manifest.output.classes
    if not indices and classes != 1:
        raise _wrong("output.spoof", f"the output has {classes} classes: give the index of the one that means spoof")
    if indices and classes == 1:
        raise _wrong("output.spoof", 'the output is a single value: say whether "higher" or "lower" ones mean spoof')
    if indices and (max(indices) >= classes or len(indices) == classes):
        raise _wrong("output.spoof", f"of {classes} classes, {list(indices)} cannot mean spoof")
    if manifest.output.labels is not None and len(manifest.output.labels) != classes:
        raise _wrong("output.labels", f"the output has {classes} classes")


def check_shares(values: NDArray[Any], last: str, manifest: Manifest) -> None:
    """Compares outputs `(n, classes)` with what `output.kind` says of them: logits may lie in 0..1 by chance.

    Args:
        values: of any input.
        last: the operator that makes them.
        manifest: what it says.

    Raises:
        BadManifest: they are called probabilities, and are none that classes share, or logits, and are such.
    """
    if not manifest.output.classes or last == "Sigmoid":
        return
    sums = values.astype(np.float64).sum(axis=1)
    if not np.isfinite(sums).all():
        return
    missed = np.abs(sums - 1.0).max()
    if manifest.output.kind == "probabilities" and missed > _SHARED:
        raise _wrong(
            "output.kind", f"probabilities, but those of the classes sum to {sums[0]:.3g}: logits, without a softmax"
        )
    if manifest.output.kind == "logits" and missed < _EXACTLY and values.min() >= 0:
        raise _wrong("output.kind", "logits, but the values of the classes share 1: probabilities")


def dimensions(port: Any) -> tuple[int, ...]:
    """Shape of an input or output; -1 where it may vary; empty where not even its rank is known."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(-1 if size.is_dynamic else int(size.get_length()) for size in shape)


def last_operator(output: Any) -> str:
    """OpenVINO's name of the operator that makes an output's values: not of one that only moves or picks them."""
    node = output.get_node().input_value(0).get_node()
    while node.get_type_name() in _MOVING:
        node = node.input_value(0).get_node()
    return str(node.get_type_name())


def _samples(shape: tuple[int, ...], given: SamplesInput) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[1] not in (1, -1)):
        raise _wrong("input.kind", f"the graph's input has the shape {shape}, and samples are (n, samples)")
    window = given.window
    if shape[-1] not in (-1, window.samples):
        raise _wrong("input.window.samples", f"the graph takes {shape[-1]}")
    if shape[-1] != -1 and "as_is" in (window.short, window.last):
        raise _wrong(
            f"input.window.{'short' if window.short == 'as_is' else 'last'}",
            f"as_is, but the graph takes exactly {shape[-1]} samples: repeat or zero_pad",
        )
    return (1, shape[-1]) if len(shape) == 3 else (shape[-1],)


def _check_shortest(graph: Any, item: tuple[int, ...], window: SampleWindow) -> None:
    """Refuses a window as short as the model would be given, of which the graph makes nothing.

    OpenVINO would fail, or answer with what the window before got, and give that to all that come behind.

    Raises:
        BadManifest: `min_samples` is too low.
    """
    if "as_is" not in (window.short, window.last):
        return
    shaped, least = graph.clone(), window.min_samples
    reason = None
    try:
        shaped.reshape([1, *(least if size == -1 else size for size in item)])
        if any(_is_empty(port) for node in shaped.get_ops() for port in node.outputs()):
            reason = "there is no frame in them"
    except RuntimeError as error:
        reason = _reason(error)
    if reason is not None:
        raise _wrong(
            "input.window.min_samples",
            f"of {least} samples the graph computes nothing ({reason}): give the least that it takes",
        )


def _is_empty(port: Any) -> bool:
    """Whether computed numbers are none; constants and shapes may be."""
    is_number = port.get_element_type().is_real() and port.get_node().get_type_name() != "Constant"
    return is_number and 0 in dimensions(port)


def _picture(shape: tuple[int, ...], manifest: Manifest) -> tuple[int, ...]:
    given = manifest.input
    assert not isinstance(given, SamplesInput)  # noqa: S101  # as the caller has seen
    wanted = (3, given.height, given.width) if given.layout == "nchw" else (given.height, given.width, 3)
    if len(shape) != 4:
        raise _wrong("input.kind", f"the graph's input has the shape {shape}, and pictures have four dimensions")
    if shape[1 if given.layout == "nchw" else 3] not in (-1, 3):
        raise _wrong("input.layout", f"the graph's input has the shape {shape}, and a picture three channels")
    if any(size not in (-1, want) for size, want in zip(shape[1:], wanted, strict=True)):
        field = "input.resize" if given.crop is None else "input.crop"
        raise _wrong(field, f"it leads to {given.height} rows of {given.width} pixels, and the graph takes {shape}")
    return wanted


def _parameters(graph: Any) -> int:
    """Numbers in the constants of floats: others are shapes and indices."""
    constants = (node for node in graph.get_ops() if node.get_type_name() == "Constant")
    return sum(
        math.prod(node.get_output_shape(0))
        for node in constants
        if node.get_output_element_type(0).get_type_name() in _FLOATS
    )


def _wrong(field: str, reason: str) -> BadManifest:
    return BadManifest(f"{MANIFEST}: {field}: {reason}")


def _named(ports: list[Any]) -> str:
    return ", ".join(repr(min(port.get_names(), default="without a name")) for port in ports)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "not supported" in line or "No conversion" in line or "Unsupported" in line]
    return (telling or lines[-1:] or [type(error).__name__])[0][:500]
