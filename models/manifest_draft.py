"""A first manifest from an ONNX graph's own inputs and outputs, and what nobody can read from a graph.

The draft is refused until its author has filled in what is open: each such field holds `UNKNOWN`.
"""

from pathlib import Path
from typing import Any

from models.errors import UnsupportedModel
from models.manifest_names import UNKNOWN, WRAP
from models.onnx_graph import UNKNOWN_OUTPUT, dimensions, last_operator, read_graph

_LIKELY_CHANNELS = 3


def draft(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The manifest as JSON types, and sentences about what is open in it.

    Raises:
        UnsupportedModel: the file cannot be read, or takes neither samples nor pictures.
    """
    graph, _ = read_graph(path)
    if len(graph.inputs) != 1:
        names = ", ".join(map(_name, graph.inputs))
        raise UnsupportedModel(f"{path} has {len(graph.inputs)} inputs ({names}); a model with one is served: {WRAP}")
    (port,) = graph.inputs
    shape = dimensions(port)
    open_points = []
    if len(shape) in (2, 3):
        task, given = "voice", _samples(_name(port), shape[-1])
        open_points.append(
            "input.scale: int16 (-32768..32767), unit (-1..1) or z_score (zero mean, unit variance); "
            "and input.pre_emphasis, if it was trained with one"
        )
        open_points.append(
            "input.window.short: what it was given of short clips: repeat, zero_pad or as_is; with as_is "
            "input.window.min_samples, the least that it takes, if that is not 400"
        )
        if shape[-1] == -1:
            open_points.append("input.window.samples: the graph takes any length; what was it trained on?")
    elif len(shape) == 4:
        task, given = "face", _picture(_name(port), shape)
        open_points.append("input.kind: rgb or bgr (pictures read by OpenCV are bgr)")
        open_points.append("input.scale, mean, std: bytes (0..255) or unit (0..1), and whether it is normalised")
        open_points.append("input.face_factor: by how much the face's box was enlarged, or null for whole pictures")
        open_points.append("input.resize: filter, and antialias (false if it was trained behind OpenCV's resize)")
    else:
        raise UnsupportedModel(f"the input of {path} has the shape {shape}: neither samples nor pictures: {WRAP}")
    output = graph.outputs[0]
    if len(graph.outputs) == 1 and not dimensions(output):
        raise UnsupportedModel(UNKNOWN_OUTPUT)
    if len(graph.outputs) > 1:
        open_points.append(f"output.name: the graph has several outputs: {', '.join(map(_name, graph.outputs))}")
    classes = dimensions(output)[-1:] if len(dimensions(output)) > 1 else (1,)
    kind = _kind(output)
    if kind == UNKNOWN:
        open_points.append("output.kind: logits, probabilities or log_likelihood_ratio")
    if classes == (1,):
        open_points.append('output.spoof: whether "higher" or "lower" values mean spoof')
    else:
        count = "some" if classes[0] < 0 else str(classes[0])
        open_points.append(f"output.spoof: which of the {count} classes, counted from 0, mean spoof, as 0 or [0, 2]")
    open_points.append("name, version, licence: of the weights, as their authors publish them")
    manifest = {
        "format": 1,
        "task": task,
        "name": UNKNOWN,
        "version": UNKNOWN,
        "licence": UNKNOWN,
        "input": given,
        "output": {"name": _name(output), "kind": kind, "spoof": UNKNOWN},
    }
    return manifest, open_points


def _samples(name: str, samples: int) -> dict[str, Any]:
    length = samples if samples > 0 else UNKNOWN
    return {"kind": "samples", "name": name, "window": {"samples": length, "short": UNKNOWN}, "scale": UNKNOWN}


def _picture(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    first = shape[1] == _LIKELY_CHANNELS or shape[3] != _LIKELY_CHANNELS
    height, width = shape[2:4] if first else shape[1:3]
    resize = {
        "width": width if width > 0 else UNKNOWN,
        "height": height if height > 0 else UNKNOWN,
        "filter": "bilinear",
        "antialias": UNKNOWN,
    }
    return {
        "kind": UNKNOWN,
        "name": name,
        "layout": "nchw" if first else "nhwc",
        "face_factor": UNKNOWN,
        "resize": resize,
        "scale": UNKNOWN,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
    }


def _kind(output: Any) -> str:
    """What the operator before the output tells."""
    last = last_operator(output)
    if last in ("Softmax", "Sigmoid"):
        return "probabilities"
    return "logits" if last in ("Add", "MatMul") and dimensions(output)[-1:] not in ((), (1,)) else UNKNOWN


def _name(port: Any) -> str:
    return min(port.get_names(), default=UNKNOWN)
