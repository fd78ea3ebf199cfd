"""Fixed band-pass filters on raw samples, as RawNet2 and AASIST begin: windowed sinc functions, bands equal in mel."""

import math
from typing import Any

import torch
from torch import Tensor, nn

_NYQUIST_HZ = 8000.0
"""Of 16 kHz, at which all these detectors were trained."""


class SincFilters(nn.Module):
    """`count` neighbouring bands from 0 to 8 kHz, each filter cut off by a Hamming window.

    The filters are computed, not learned: weight files hold none.

    Args:
        count: bands.
        taps: length of each filter, odd.
    """

    def __init__(self, count: int, taps: int) -> None:
        super().__init__()
        self.register_buffer("filters", _filters(count, taps), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, samples) -> (n, count, samples - taps + 1)."""
        return nn.functional.conv1d(samples.unsqueeze(1), self.get_buffer("filters"))


def _filters(count: int, taps: int) -> Tensor:
    """(count, 1, taps), each the difference of two ideal low-pass filters."""
    highest = 2595.0 * math.log10(1.0 + _NYQUIST_HZ / 700.0)
    # On the CPU even while modules are made without memory of their own (device "meta").
    exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    mel = torch.linspace(0.0, highest, count + 1, **exact)
    cycles = 700.0 * (10.0 ** (mel / 2595.0) - 1.0) / (2.0 * _NYQUIST_HZ)
    position = torch.arange(taps, **exact) - (taps - 1) / 2
    low_pass = 2.0 * cycles[:, None] * torch.sinc(2.0 * cycles[:, None] * position)
    window = torch.hamming_window(taps, periodic=False, **exact)
    return ((low_pass[1:] - low_pass[:-1]) * window).unsqueeze(1).to(torch.float32)
