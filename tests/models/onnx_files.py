"""Small ONNX files, written byte by byte, and published ones with their manifests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.published import WEIGHTS

_FLOAT, _INT64, _EXTERNAL = 1, 7, 1
_INTS, _INT = 7, 2


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | str | int) -> bytes:
    """One field in protobuf's wire format."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, array: NDArray[Any], external: Mapping[str, str] | None = None) -> bytes:
    """A TensorProto; `external` says where its bytes lie."""
    kind = _FLOAT if array.dtype == np.float32 else _INT64
    head = b"".join(field(1, size) for size in array.shape) + field(2, kind) + field(8, name)
    if external is None:
        return head + field(9, array.tobytes())
    entries = b"".join(field(13, field(1, key) + field(2, value)) for key, value in external.items())
    return head + entries + field(14, _EXTERNAL)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
    """A NodeProto."""
    encoded = b"".join(field(1, each) for each in inputs) + field(2, output) + field(4, operator)
    for name, value in attributes.items():
        if isinstance(value, int):
            encoded += field(5, field(1, name) + field(3, value) + field(20, _INT))
        else:
            encoded += field(5, field(1, name) + b"".join(field(8, each) for each in value) + field(20, _INTS))
    return encoded


def port(name: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto of floats."""
    sizes = b"".join(field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, _FLOAT) + field(2, sizes)))


def model(nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
    """A ModelProto of operator set 11."""
    parts = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    graph = field(2, "graph") + b"".join(field(number, each) for number, some in parts for each in some)
    return field(1, 7) + field(8, field(2, 11)) + field(7, graph)


def voice_onnx(
    shape: Sequence[int | str] = ("n", "samples"), weights: NDArray[np.float32] | None = None, last: str | None = None
) -> bytes:
    """Logits from the mean square of the samples: a column for each of the weights, `(1, classes)`."""
    weights = np.array([[4.0, -4.0]], np.float32) if weights is None else weights
    axes = list(range(1, len(shape)))
    nodes = [
        node("Mul", ["samples", "samples"], "square"),
        node("ReduceMean", ["square"], "mean", axes=axes, keepdims=0),
        node("Unsqueeze", ["mean"], "column", axes=[1]),
        node("MatMul", ["column", "weights"], "logits"),
    ]
    if last is not None:
        nodes.append(node(last, ["logits"], "last"))
    output = port("logits" if last is None else "last", ("n", weights.shape[1]))
    return model(nodes, [tensor("weights", weights)], [port("samples", shape)], [output])


def face_onnx(shape: Sequence[int | str] = ("n", 3, 16, 24)) -> bytes:
    """Logits from the means of the three planes: (plane 0 - plane 2) / 50, 0, 0."""
    weights = np.array([[0.02, 0, 0], [0, 0, 0], [-0.02, 0, 0]], np.float32)
    nodes = [
        node("ReduceMean", ["image"], "means", axes=[2, 3], keepdims=0),
        node("MatMul", ["means", "weights"], "logits"),
    ]
    return model(nodes, [tensor("weights", weights)], [port("image", shape)], [port("logits", ("n", 3))])


def voice_manifest(**changed: Any) -> dict[str, Any]:
    """Of `voice_onnx`."""
    window = {"samples": 64_600, "short": "repeat", **changed.pop("window", {})}
    given = {"kind": "samples", "name": "samples", "window": window, "scale": "unit", **changed.pop("input", {})}
    output = {"name": "logits", "kind": "logits", "spoof": 0, **changed.pop("output", {})}
    return {**_named("voice"), "input": given, "output": output, **changed}


def face_manifest(**changed: Any) -> dict[str, Any]:
    """Of `face_onnx`."""
    resize = {"width": 24, "height": 16, "filter": "bilinear", "antialias": False, **changed.pop("resize", {})}
    given = {"kind": "bgr", "name": "image", "face_factor": 2.7, "resize": resize, "scale": "bytes"}
    output = {"name": "logits", "kind": "logits", "spoof": [0, 2], **changed.pop("output", {})}
    return {**_named("face"), "input": {**given, **changed.pop("input", {})}, "output": output, **changed}


def save(folder: Path, onnx: bytes | Path, manifest: Mapping[str, Any]) -> Path:
    """A folder that is a model reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(onnx.read_bytes() if isinstance(onnx, Path) else onnx)
    (folder / "bonafide.json").write_text(json.dumps(manifest))
    return folder


def aasist(folder: Path, weights: str = "aasist-asvspoof5") -> Path:
    """A published AASIST."""
    return save(folder, WEIGHTS / f"{weights}.onnx", voice_manifest(output={"labels": ["spoof", "bonafide"]}))


def minifasnet(folder: Path, weights: str = "minifasnet-v2-2.7-80x80", factor: float = 2.7) -> Path:
    """A published MiniFASNet."""
    size = {"width": 80, "height": 80}
    return save(folder, WEIGHTS / f"{weights}.onnx", face_manifest(resize=size, input={"face_factor": factor}))


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _named(task: str) -> dict[str, Any]:
    return {"format": 1, "task": task, "name": f"tiny-{task}", "version": "1", "licence": "MIT"}


def ensemble_manifest(task: str, members: Sequence[Any], /, **changed: Any) -> dict[str, Any]:
    """Of an ensemble of these references; a mean of equal shares unless `fusion` says otherwise."""
    stated = [{"model": str(each)} if isinstance(each, str | Path) else each for each in members]
    fusion = {"rule": "mean", "weights": [1.0] * len(members), "members": stated, **changed.pop("fusion", {})}
    named = {name: value for name, value in _named(task).items() if name != "licence"}
    return {**named, "name": f"pair-{task}", "ensemble": fusion, **changed}


def save_ensemble(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """A folder with a manifest alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bonafide.json").write_text(json.dumps(manifest))
    return folder


def minifasnet_pair(folder: Path) -> Path:
    """The published pair: crops of 2.7 and 4 times the face's box, the mean of both."""
    for weights, factor in PAIR.items():
        minifasnet(folder / weights, weights, factor)
        _rename(folder / weights, weights)
    return save_ensemble(folder, ensemble_manifest("face", list(PAIR)))


PAIR = {"minifasnet-v2-2.7-80x80": 2.7, "minifasnet-v1se-4.0-80x80": 4.0}


def _rename(folder: Path, name: str) -> None:
    """Gives a saved model another name."""
    path = folder / "bonafide.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": name}))
