"""The two-dimensional residual blocks of AASIST, over frequency and time."""

from itertools import pairwise

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two convolutions of 2 x 3 beside a shortcut; frequency keeps its size, time too unless it is pooled by three.

    Published files hold a `bn1` for all blocks but the first. The program that trained them computes it and then goes
    on with what came in, so it has no effect and is left out here.
    """

    def __init__(self, planes: int, out: int, *, pooled: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, out, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, (2, 3), padding=(0, 1))
        if planes != out:
            self.conv_downsample = nn.Conv2d(planes, out, (1, 3), padding=(0, 1))
        self._widens = planes != out
        self._pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        """(n, planes, frequency, time) -> (n, out, frequency, time or a third of it)."""
        shortcut = self.conv_downsample(x) if self._widens else x
        x = self.conv2(nn.functional.selu(self.bn2(self.conv1(x)))) + shortcut
        return nn.functional.max_pool2d(x, (1, 3)) if self._pooled else x


def residual_encoder(narrow: int, wide: int, *, pooled: bool) -> nn.Sequential:
    """Six blocks from one plane: two with `narrow` planes, four with `wide`."""
    planes = [1, narrow, narrow, *[wide] * 4]
    # Each block is alone in a sequence, for the keys' sake.
    return nn.Sequential(*(nn.Sequential(ResidualBlock(a, b, pooled=pooled)) for a, b in pairwise(planes)))
