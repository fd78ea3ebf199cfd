"""Comparison of resamplers: pass band, aliases, cost, and effect on scores; markdown tables on stdout.

Resamples windows of 4 s to 16 kHz by torchaudio (Hann-windowed sinc, its default), swresample through PyAV, and
soxr in two qualities. With `--data` the clips of a manifest, brought to each rate by Fourier resampling, are scored by
the bundled voice model after each of them.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import av
import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from scipy.signal import resample as fourier_resample
from torchaudio.transforms import Resample  # type: ignore[import-untyped]

from benchmarks.tables import markdown_table, say
from bonafide.audio.reader import WINDOW_SECONDS, AudioLimits, AudioReader
from bonafide.audio.resampling import SAMPLE_RATE, to_pcm16
from bonafide.settings import Settings
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.scoring import Part
from lab.metrics import eer
from lab.served import ServedModel

Samples = NDArray[np.float32]
Resampler = Callable[[Samples, int], Samples]

RATES = (8_000, 22_050, 44_100, 48_000)
BATCH = 32


def _torchaudio(window: Samples, rate: int, known: dict[int, Resample] = {}) -> Samples:  # noqa: B006 - a cache
    if rate not in known:
        known[rate] = Resample(rate, SAMPLE_RATE)
    with torch.inference_mode():
        result: Samples = known[rate](torch.from_numpy(window)).numpy()
    return result


def _swresample(window: Samples, rate: int) -> Samples:
    frame = av.AudioFrame.from_ndarray(window[np.newaxis], "flt", "mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    return np.concatenate([part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]])


def _soxr(quality: str) -> Resampler:
    return lambda window, rate: soxr.resample(window, rate, SAMPLE_RATE, quality)


RESAMPLERS: dict[str, Resampler] = {
    "torchaudio": _torchaudio,
    "swresample": _swresample,
    "soxr HQ": _soxr("HQ"),
    "soxr VHQ": _soxr("VHQ"),
}


def _level_db(resampler: Resampler, hz: float, rate: int) -> float:
    """Level of a tone after resampling, in dB relative to the input; the ends are left out."""
    time_s = np.arange(int(WINDOW_SECONDS * rate)) / rate
    out = resampler(np.sin(2 * np.pi * hz * time_s).astype(np.float32), rate)[2_000:-2_000]
    return float(20 * np.log10(max(np.sqrt(2 * np.mean(out.astype(np.float64) ** 2)), 1e-9)))


def quality() -> Iterator[list[str]]:
    """Rows: the loss at 7 and 7.8 kHz, and the loudest alias of tones above 8 kHz, 48 kHz to 16 kHz."""
    for name, resampler in RESAMPLERS.items():
        kept = [_level_db(resampler, hz, 48_000) for hz in (7_000.0, 7_600.0)]
        near, far = (
            max(_level_db(resampler, float(hz), 48_000) for hz in tones)
            for tones in (range(8_200, 9_000, 100), range(9_000, 23_000, 250))
        )
        yield [name, *(f"{db:.1f}" for db in (*kept, near, far))]


def pace(repeats: int) -> Iterator[list[str]]:
    """Rows: milliseconds for a window of 4 s, median, in alternating turns on one thread."""
    noise = np.random.default_rng(0)
    windows = {rate: noise.uniform(-0.5, 0.5, int(WINDOW_SECONDS * rate)).astype(np.float32) for rate in RATES}
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(repeats):
        for rate, window in windows.items():
            for name, resampler in RESAMPLERS.items():
                began = time.perf_counter()
                resampler(window, rate)
                took.setdefault((name, rate), []).append(1_000 * (time.perf_counter() - began))
    for name in RESAMPLERS:
        yield [name, *(f"{median(took[name, rate]):.2f}" for rate in RATES)]


def scores(manifest: Path, limit: int | None) -> Iterator[list[str]]:
    """Rows: for each rate and resampler the EER, and how far scores lie from those after torchaudio."""
    model = ServedModel("bundled", "voice", Settings())
    trials = sample(read_dataset(manifest), limit).trials
    limits = AudioLimits.from_settings(Settings())
    clips = []
    for trial in trials:
        with AudioReader(trial.path.read_bytes(), limits) as reader:
            clips.append(next(window.pcm for windows in reader for window in windows).astype(np.float32) / 32_768)
    spoof = [trial.spoof for trial in trials]
    for rate in RATES:
        sources = [
            fourier_resample(clip, round(len(clip) * rate / SAMPLE_RATE)).astype(np.float32, copy=False)
            for clip in clips
        ]
        reference: NDArray[np.float64] | None = None
        for name, resampler in RESAMPLERS.items():
            pcm = [
                to_pcm16(_fitted(resampler(source, rate), len(clip)))
                for source, clip in zip(sources, clips, strict=True)
            ]
            found = np.array(
                [
                    each.score
                    for begin in range(0, len(pcm), BATCH)
                    for each in model.score([Part(clip, WINDOW_SECONDS) for clip in pcm[begin : begin + BATCH]])
                ]
            )
            reference = found if reference is None else reference
            apart = np.abs(found - reference)
            yield [
                f"{name}, {rate} Hz", f"{100 * eer(found, spoof):.1f} %", f"{apart.mean():.4f}", f"{apart.max():.3f}"
            ]  # fmt: skip


def _fitted(samples: Samples, length: int) -> Samples:
    return np.pad(samples, (0, max(0, length - len(samples))), mode="edge")[:length]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="manifest of labelled voices (docs/models.md)")
    parser.add_argument("--limit", type=int, help="clips scored, from the first on")
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = ["resampler", "7 kHz, dB", "7.6 kHz, dB", "loudest alias 8.2..9 kHz, dB", "above 9 kHz, dB"]
    say(markdown_table(head, list(quality())) + "\n")
    say(markdown_table(["ms per 4 s window", *(f"{rate} Hz" for rate in RATES)], list(pace(arguments.repeats))) + "\n")
    if arguments.data:
        head = ["resampler", "EER", "mean difference", "largest difference"]
        say(markdown_table(head, list(scores(arguments.data, arguments.limit))))


if __name__ == "__main__":
    main()
