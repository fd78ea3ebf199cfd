"""How long each engine takes per item: torch and OpenVINO, fp32 and bf16, full-size and bundled models.

Everything runs interleaved in one process, so that other load affects all of them alike; medians are shown.
"""

import argparse
import gc
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForSequenceClassification,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from benchmarks.inputs import SAMPLE_RATE, WINDOW_SECONDS, prepared_photos, windows
from models.cpus import usable_cpus
from models.devices import cpu_has_bf16, cuda_is_available
from models.errors import EngineUnavailable
from models.face_model import FaceSpoofModel
from models.options import LoadOptions
from models.voice_model import VoiceSpoofModel

BATCHES = (1, 4, 8)
BUNDLED = ("bundled voice", "bundled face")
MODELS = ("wavlm-base", "dinov2-small", "dinov2-base", *BUNDLED)
PHOTO_PIXELS = {"dinov2-small": 224, "dinov2-base": 224, "bundled face": 128}
"""Edges of the photos that a model is given; the others are given windows."""
PLAIN = "plain transformers, torch fp32"
Run = Callable[[int], object]
"""Computes one batch of so many items."""


@dataclass
class Contender:
    """One way to run a model, and the seconds that its batches took, by batch size."""

    name: str
    run: Run
    seconds: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    cpu_seconds: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})

    def measure(self, batch: int) -> None:
        """Runs one batch and records its time and the processor time of all threads."""
        cpu, start = time.process_time(), time.perf_counter()
        self.run(batch)
        self.seconds[batch].append((time.perf_counter() - start) / batch)
        self.cpu_seconds[batch].append((time.process_time() - cpu) / batch)


def main() -> None:
    """Prints a table in Markdown for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="which models (default: all)")
    parser.add_argument(
        "--repeats", type=int, default=15, help="timed runs of each engine and batch size (default: 15)"
    )
    parser.add_argument("--quick", action="store_true", help="3 repeats")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each engine (default: all usable CPUs)")
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    print(_machine(chosen.threads))
    for name in chosen.models:
        with tempfile.TemporaryDirectory() as folder:
            contenders = list(_contenders(name, Path(folder), chosen.threads))
            _measure(contenders, 3 if chosen.quick else chosen.repeats)
        print(f"\n{_table(name, contenders)}", flush=True)
        del contenders
        gc.collect()


def _contenders(name: str, folder: Path, threads: int) -> Iterator[Contender]:
    """Opens a model in each engine; first one with random weights, which is saved, as transformers has it."""
    torch.manual_seed(0)
    torch.set_num_threads(threads or usable_cpus())
    reference, items = "bundled", _items(name)
    if name not in BUNDLED:
        reference = str(folder / name)
        yield Contender(PLAIN, _plain(_saved(name, folder / name), items))
    detector: Any = FaceSpoofModel if name in PHOTO_PIXELS else VoiceSpoofModel
    for engine, precision in (("torch", "fp32"), ("torch", "bf16"), ("openvino", "fp32"), ("openvino", "bf16")):
        options = LoadOptions(folder, folder / "compiled", engine=engine, precision=precision, threads=threads)  # type: ignore[arg-type]
        try:
            loaded = detector.load(reference, options)
        except EngineUnavailable as error:
            print(f"({engine} {precision} left out: {error})")
            continue
        device = " (CUDA)" if loaded.info.device == "cuda" else ""
        yield Contender(f"{engine} {precision}{device}", _run(loaded, items))


def _run(detector: Any, items: NDArray[Any]) -> Run:
    # The engine itself, since a detector would split a batch to its own batch size.
    return lambda batch: detector._engine.run(items[:batch])


def _plain(model: Any, items: NDArray[Any]) -> Run:
    inputs = torch.from_numpy(items)
    inputs = inputs.float() / 32768 if items.ndim == 2 else (inputs.float() / 255).permute(0, 3, 1, 2).contiguous()

    def run(batch: int) -> None:
        with torch.inference_mode():
            model(inputs[:batch])

    return run


def _items(name: str) -> NDArray[Any]:
    """As many windows or photos as the largest batch has."""
    if side := PHOTO_PIXELS.get(name):
        return np.stack(prepared_photos(max(BATCHES), side, side))
    return np.stack(windows(max(BATCHES), WINDOW_SECONDS * SAMPLE_RATE))


def _saved(name: str, folder: Path) -> Any:
    """A random checkpoint as its own module."""
    labels: dict[str, Any] = {"id2label": {0: "live", 1: "spoof"}, "label2id": {"live": 0, "spoof": 1}}
    model: Any
    if name not in PHOTO_PIXELS:
        model = WavLMForSequenceClassification(WavLMConfig(**labels))
        Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)  # type: ignore[no-untyped-call]
    else:
        size: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 6} if name == "dinov2-small" else {}
        model = Dinov2ForImageClassification(Dinov2Config(**labels, **size, image_size=518, patch_size=14))
        BitImageProcessorPil(size={"shortest_edge": 256}).save_pretrained(folder)
    model.eval().save_pretrained(folder)
    return model


def _measure(contenders: list[Contender], repeats: int) -> None:
    for batch in BATCHES:
        for contender in contenders:
            contender.run(batch)
    for _ in range(repeats):
        for batch in BATCHES:
            for contender in contenders:
                contender.measure(batch)


def _table(name: str, contenders: list[Contender]) -> str:
    item = f"photo of {PHOTO_PIXELS[name]} px" if name in PHOTO_PIXELS else f"{WINDOW_SECONDS}-second window"
    lines = [
        f"**{name}**, milliseconds per {item}: median (best; processor time of all threads, best). "
        "Ratio: median of the first row at the same batch size over this one.",
        "",
        "| engine | " + " | ".join(f"batch {batch} | ratio" for batch in BATCHES) + " |",
        "|---" * (1 + 2 * len(BATCHES)) + "|",
    ]
    for contender in contenders:
        cells = []
        for batch in BATCHES:
            median = statistics.median(contender.seconds[batch])
            best, cpu = min(contender.seconds[batch]), min(contender.cpu_seconds[batch])
            ratio = statistics.median(contenders[0].seconds[batch]) / median
            cells.append(f"{median * 1e3:.3g} ({best * 1e3:.3g}; {cpu * 1e3:.3g}) | {ratio:.1f}")
        lines.append(f"| {contender.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _machine(threads: int) -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    flags = ", ".join(flag for flag in known if flag in text.split())
    packages = ", ".join(f"{package} {version(package)}" for package in ("torch", "openvino", "transformers"))
    cuda = f"; {torch.cuda.get_device_name()}" if cuda_is_available() else ""
    bf16 = "" if cpu_has_bf16() else "; no bf16"
    return (
        f"Machine: {model or platform.machine()} ({flags}{bf16}){cuda}, {usable_cpus()} CPUs, "
        f"{threads or usable_cpus()} threads; Python {platform.python_version()}, {packages}."
    )


if __name__ == "__main__":
    main()
