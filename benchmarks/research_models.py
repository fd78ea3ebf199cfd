"""Research detectors at full size with random weights: what converting takes, and what a window costs afterwards.

    python -m benchmarks.research_models [aasist aasist-l rawnet2 xlsr-aasist]

Times are the processor's, of one thread and one window, medians of turns; memory is the process's highest.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.heads.aasist import AASIST, AASIST_L, Aasist
from models.heads.convert import Research, write_folder
from models.heads.kinds import KIND_OF
from models.heads.manifest import manifest
from models.heads.rawnet2 import RawNet2
from models.heads.ssl_aasist import SslAasist

_TURNS = 5
_XLSR_300M: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "apply_spec_augment": False,
    "mask_time_prob": 0.0,
}


def _xlsr_aasist() -> nn.Module:
    from transformers import Wav2Vec2Config

    return SslAasist(Wav2Vec2Config(**_XLSR_300M))


_MODULES: dict[str, Callable[[], nn.Module]] = {
    "aasist": lambda: Aasist(AASIST),
    "aasist-l": lambda: Aasist(AASIST_L),
    "rawnet2": RawNet2,
    "xlsr-aasist": _xlsr_aasist,
}


def main() -> None:
    """Each kind in processes of its own, so that the memory of one does not count for the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(_MODULES), metavar="KIND", help=", ".join(_MODULES))
    parser.add_argument("--step", choices=("convert", "run"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        (_convert if given.step == "convert" else _run)(given.kinds[0], given.folder)
        return
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as work:
            for step in ("convert", "run"):
                command = ["-m", "benchmarks.research_models", kind, "--step", step, "--folder", f"{work}/model"]
                subprocess.run([sys.executable, *command], check=True, env=alone)


def _convert(kind: str, folder: Path) -> None:
    torch.manual_seed(0)
    model = _MODULES[kind]().eval().requires_grad_(False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.02)
    million = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    words = manifest(KIND_OF[kind], name=kind, version="random", licence="none")
    cost = _median_s(lambda: model(torch.zeros(1, KIND_OF[kind].window_samples)))
    before = time.process_time()
    write_folder(Research(KIND_OF[kind], model, words), folder)
    print(f"{kind}: {million:.2f} million parameters")
    print(f"  torch fp32 {cost * 1000:.0f} ms a window")
    print(f"  converting {time.process_time() - before:.0f} s, at most {_peak_mib():.0f} MiB", flush=True)


def _run(kind: str, folder: Path) -> None:
    window = np.zeros((1, KIND_OF[kind].window_samples), np.float32)
    for precision in ("f32", "bf16"):
        cost = _openvino_s(folder / "model.xml", precision, window)
        print(f"  OpenVINO {precision} {cost * 1000:.0f} ms a window, so far at most {_peak_mib():.0f} MiB", flush=True)


def _openvino_s(graph: Path, precision: str, window: NDArray[np.float32]) -> float:
    from models.openvino_engine import openvino

    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return _median_s(lambda: compiled([window]))


def _median_s(call: Callable[[], object]) -> float:
    with torch.inference_mode():
        call()
        turns = []
        for _ in range(_TURNS):
            before = time.process_time()
            call()
            turns.append(time.process_time() - before)
    return statistics.median(turns)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
