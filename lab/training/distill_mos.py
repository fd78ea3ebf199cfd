"""The convolutions of Distill-MOS (MIT), which tell the quality of speech: what the spectral branch learns to copy.

In: the weights inside the wheel `distillmos`. Out: a module from compressed spectra to maps over time.
"""

import torch
from torch import nn

from lab.training.data.packages import Package, fetch
from models.spectral_branch import convolutions

WHEEL = Package("pypi-wheel", "distillmos", "MIT", "0.9.1")

_FILE = "distillmos/weights/distill_mos_v7.pt"
_PREFIX = "cnn.cnn."
CHANNELS = (64, 64, 128, 256, 256, 256)
_STEPS = (1, 1, 1, 1, 1, 2)


def network() -> nn.Sequential:
    """The output of `models.spectral_branch.compressed` -> maps (n, 256, 4, half the frames); frozen, float32."""
    state = torch.load(fetch(WHEEL) / _FILE, map_location="cpu", weights_only=True)["model"]
    made = convolutions(CHANNELS, _STEPS)
    made.load_state_dict({name.removeprefix(_PREFIX): each for name, each in state.items() if name.startswith(_PREFIX)})
    made.requires_grad_(False).train(False)
    return made
