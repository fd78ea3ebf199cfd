"""From a research checkpoint (.pth) to a folder with OpenVINO's graph and its manifest, for `models.convert`.

Only tensors are read, and their keys and shapes tell the kind. The folder holds model.xml and model.bin in fp32, and
bonafide.json. Nothing is filled in: if tensors are left over or missing, they are listed and nothing is written.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.engine import require_numbers
from models.errors import UnsupportedModel
from models.folders import build_once
from models.heads.kinds import KIND_OF, Kind, filled, likely, recognised
from models.heads.manifest import INPUT, OUTPUT, manifest
from models.manifest_names import EXPORT, IR
from models.weights import read_state

_TOLERANCE = 1e-3
"""Largest difference to torch, as a share of the largest logit and at least of 1; 1e-5 is usual."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Research:
    """A checkpoint, read and recognised.

    Attributes:
        kind: its architecture.
        model: windows, float32 (n, samples) in -1..1, to logits (n, 2): spoof, bona fide.
        manifest: the content of its `bonafide.json`.
    """

    kind: Kind
    model: nn.Module
    manifest: dict[str, Any]


def kind_of(path: Path) -> str | None:
    """The kind of a file's tensors; None: it is of no kind known here.

    Raises:
        CheckpointMismatch: the file cannot be read.
    """
    kind = likely(read_state(path))
    return kind.name if kind else None


def read_research(
    path: Path, kind: str | None = None, *, licence: str, name: str | None = None, version: str | None = None
) -> Research:
    """Reads a checkpoint's tensors, and makes the model and its manifest.

    Args:
        path: the file.
        kind: one of `KIND_OF`; None: as its keys say.
        licence: under which the weights are used.
        name: of the model; None: the file's.
        version: of the weights; None: the first 12 hex digits of the file's SHA-256.

    Raises:
        ModelError: the file is broken, of no known kind, or its tensors do not fit; the message says which.
    """
    if not path.is_file():
        raise UnsupportedModel(f"there is no file {path}: correct the path")
    state = read_state(path)
    if kind is not None and kind not in KIND_OF:
        raise UnsupportedModel(f"there is no kind {kind!r}; those are: {', '.join(KIND_OF)}. Or leave --as out")
    found = KIND_OF[kind] if kind else recognised(state, path.name)
    words = manifest(found, name=name or path.stem, version=version or _digest(path), licence=licence)
    return Research(found, filled(state, found, path.name), words)


def write_folder(research: Research, out: Path) -> None:
    """Converts the model, compares it with torch, and writes the folder, which is either complete or absent.

    Raises:
        UnsupportedModel: something lies there, or OpenVINO cannot convert the model or computes other values.
        OSError: the folder cannot be written.
    """
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists():
        raise UnsupportedModel(f"{out} exists already; name a folder that does not, or remove it")

    def build(fresh: Path) -> None:
        _write_graph(research, fresh)
        words = json.dumps(research.manifest, indent=2, ensure_ascii=False)
        (fresh / "bonafide.json").write_text(words + "\n", encoding="utf-8")

    build_once(out, build)


def _write_graph(research: Research, folder: Path) -> None:
    from models.openvino_engine import openvino, save, traced  # without reports over the network

    samples = research.kind.window_samples
    compared_on = _noise(3, samples)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each size it takes for a constant; the comparison decides
        expected = research.model(compared_on)
        require_numbers(research.kind.title, expected.numpy())
        try:
            graph = traced(research.model, _noise(2, samples))
            graph.inputs[0].get_tensor().set_names({INPUT})
            graph.outputs[0].get_tensor().set_names({OUTPUT})
            graph.reshape([-1, samples])
            compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            got = torch.from_numpy(compiled([compared_on.numpy()])[0])
        except Exception as error:  # the frontend raises errors of many unrelated classes
            raise UnsupportedModel(f"OpenVINO cannot convert {research.kind.title}: {error}; {EXPORT}") from error
    difference = float((got - expected).abs().max())
    if not difference <= _TOLERANCE * max(1.0, float(expected.abs().max())):
        raise UnsupportedModel(
            f"OpenVINO computes {research.kind.title} otherwise than torch: logits differ by {difference:.3g}; {EXPORT}"
        )
    save(graph, folder / IR)


def _noise(count: int, samples: int) -> Tensor:
    """(count, samples), noise of speech-like level."""
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(0))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:12]
