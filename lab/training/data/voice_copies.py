"""Copy-synthesis and conversion: a bona fide window in, the same words through a vocoder out.

Each function takes float32 (64000,) at 16 kHz and a random generator and returns the same shape. The
generator draws the strength, so that a family is not one fixed setting.
"""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchaudio  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.signal import lfilter

from lab.line.samples import RATE, Samples, resample
from lab.training.data.hifi_gan import hifi_gan_copy
from lab.training.data.lyra import neural_copy
from lab.training.data.voice_audio import WINDOW, decode, load, save

Attack = Callable[[Samples, np.random.Generator], Samples]

_CODEC2_RATE = 8_000


def world(samples: Samples, rng: np.random.Generator) -> Samples:
    """WORLD analysis and synthesis; half of the time with moved pitch and formants."""
    import pyworld

    signal = samples.astype(np.float64)
    coarse, times = pyworld.dio(signal, RATE)
    pitch = pyworld.stonemask(signal, coarse, times, RATE)
    envelope = pyworld.cheaptrick(signal, pitch, times, RATE)
    noise = pyworld.d4c(signal, pitch, times, RATE)
    if rng.random() < 0.5:
        pitch = pitch * 2 ** rng.uniform(-0.4, 0.4)
        envelope = _warp(envelope, rng.uniform(0.88, 1.14))
    if rng.random() < 0.3:
        pitch = np.where(pitch > 0, pitch[pitch > 0].mean() * 0.6 + pitch * 0.4, 0) if pitch.any() else pitch
    return _fit(pyworld.synthesize(pitch, envelope, noise, RATE))


def griffin_lim(samples: Samples, rng: np.random.Generator) -> Samples:
    """Mel spectrogram and back, phases by Griffin-Lim."""
    size = int(rng.choice([512, 800, 1024]))
    hop = size // int(rng.choice([3, 4, 5]))
    mels = int(rng.choice([64, 80, 100]))
    bank = torchaudio.functional.melscale_fbanks(size // 2 + 1, 20.0, 7800.0, mels, RATE)
    window = torch.hann_window(size)
    spectrum = torch.stft(torch.from_numpy(samples), size, hop, window=window, return_complex=True).abs()
    rough = (torch.linalg.pinv(bank).T @ (bank.T @ spectrum)).clamp(min=1e-7)
    torch.manual_seed(int(rng.integers(2**31)))
    iterations = int(rng.integers(12, 60))
    back = torchaudio.functional.griffinlim(
        rough, window, size, hop, size, 1.0, iterations, 0.9, WINDOW, rand_init=True
    )
    return _fit(back.numpy())


def lpc(samples: Samples, rng: np.random.Generator) -> Samples:
    """Linear prediction with pulses or noise in place of the residual."""
    import pyworld

    order, hop = int(rng.integers(14, 24)), 160
    signal = samples.astype(np.float64)
    coarse, times = pyworld.dio(signal, RATE, frame_period=10)
    pitch = pyworld.stonemask(signal, coarse, times, RATE) * 2 ** rng.uniform(-0.2, 0.2)
    emphasised = lfilter([1, -0.95], [1], signal)
    out = np.zeros(WINDOW)
    state = np.zeros(order)
    phase, taper = 0.0, np.hanning(480)
    hiss = rng.uniform(0.02, 0.2)
    padded = np.pad(emphasised, (160, 320))
    for index in range(WINDOW // hop):
        start = index * hop
        frame = padded[start : start + 480] * taper
        coefficients, gain = _levinson(frame, order)
        tone = pitch[min(index, len(pitch) - 1)]
        excitation = rng.standard_normal(hop) * (hiss if tone > 0 else 1.0)
        if tone > 0:
            track = phase + tone / RATE * np.arange(1, hop + 1)
            pulses = np.diff(np.floor(np.concatenate([[phase], track])))
            excitation += pulses * np.sqrt(RATE / tone)
            phase = track[-1] % 1
        out[start : start + hop], state = lfilter([gain], coefficients, excitation, zi=state)
    return _fit(lfilter([1], [1, -0.95], out))


def codec2(samples: Samples, rng: np.random.Generator) -> Samples:
    """The parametric speech coder codec2 at 0.7-1.6 kbit/s."""
    mode = str(rng.choice(["1600", "1300", "1200", "700C"]))
    pcm = np.clip(resample(samples, RATE, _CODEC2_RATE) * 32767, -32768, 32767).astype("<i2")
    back = pcm.tobytes()
    for program in ("c2enc", "c2dec"):
        command = [program, mode, "-", "-"]
        back = subprocess.run(command, input=back, capture_output=True, check=True).stdout
    return _fit(resample(np.frombuffer(back, "<i2").astype(np.float32) / np.float32(32768), _CODEC2_RATE))


def rubber_band(samples: Samples, rng: np.random.Generator) -> Samples:
    """Phase-vocoder pitch shift by 2-5 semitones, formants moved along or kept."""
    semitones = rng.uniform(2, 5) * rng.choice([-1, 1])
    options = ["-q", "-p", f"{semitones:.2f}", *(["-F"] if rng.random() < 0.5 else [])]
    command = ["rubberband", *options]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "in.wav"), Path(folder, "out.wav")
        save(samples, given)
        subprocess.run([*command, str(given), str(made)], capture_output=True, check=True)
        return _fit(decode(made))


def psola(samples: Samples, rng: np.random.Generator) -> Samples:
    """Praat's overlap-add conversion of pitch, formants and intonation range."""
    import parselmouth  # type: ignore[import-not-found]
    from parselmouth.praat import call  # type: ignore[import-not-found]

    sound = parselmouth.Sound(samples.astype(np.float64), RATE)
    formants = rng.uniform(0.82, 1.22)
    median = call(sound.to_pitch(pitch_floor=70, pitch_ceiling=500), "Get quantile", 0, 0, 0.5, "Hertz")
    wanted = median * 2 ** rng.uniform(-0.5, 0.5) if median == median else 0
    changed = call(sound, "Change gender", 70, 500, formants, wanted, rng.uniform(0.4, 1.5), 1.0)
    return _fit(changed.values[0])


NEURAL: dict[str, Attack] = {"hifi-gan": hifi_gan_copy, "lyra": neural_copy}
"""Networks: of this decade, as the others are not. Lyra's weights lie beside the packages, see its module."""
COPIES: dict[str, Attack] = {
    "world": world,
    "griffin-lim": griffin_lim,
    "lpc": lpc,
    "codec2": codec2,
    "rubber-band": rubber_band,
    "psola": psola,
    **NEURAL,
}


def copy(family: str, path: Path, rng: np.random.Generator) -> Samples:
    """Applies a family of `COPIES` to the window in a file; level as in the original."""
    samples = load(path)
    made = COPIES[family](samples, rng)
    loudness = np.sqrt((samples**2).mean() / ((made**2).mean() + 1e-12))
    return np.asarray(np.clip(made * loudness, -1, 1), np.float32)


def _fit(signal: NDArray[np.floating]) -> Samples:
    cut = np.nan_to_num(np.asarray(signal, np.float32)[:WINDOW])
    return np.pad(cut, (0, WINDOW - len(cut)))


def _warp(envelope: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    bins = np.arange(envelope.shape[1])
    source = np.clip(bins / factor, 0, bins[-1])
    low = np.floor(source).astype(int)
    high = np.minimum(low + 1, bins[-1])
    share = source - low
    return np.ascontiguousarray(envelope[:, low] * (1 - share) + envelope[:, high] * share)


def _levinson(frame: NDArray[np.float64], order: int) -> tuple[NDArray[np.float64], float]:
    spectrum = np.fft.rfft(frame, 1024)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: order + 1]
    correlation[0] = correlation[0] * 1.0001 + 1e-9
    coefficients = np.zeros(order + 1)
    coefficients[0], error = 1.0, correlation[0]
    for step in range(1, order + 1):
        reflection = -(coefficients[:step] @ correlation[step:0:-1]) / error
        coefficients[1 : step + 1] += reflection * coefficients[step - 1 :: -1][:step]
        error *= 1 - reflection**2
    return coefficients, float(np.sqrt(max(error, 0) / len(frame)))
