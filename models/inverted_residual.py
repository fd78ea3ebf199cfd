"""Inverted residuals, of which the face model's convolutions are made.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381.
"""

from collections.abc import Callable

from torch import Tensor, nn

Activation = Callable[[int], nn.Module]
"""Made for so many channels."""
_SQUEEZED = 32


class Residual(nn.Module):
    """Widened, filtered channel by channel, narrowed; the input is added where it has the same shape.

    Args:
        before: channels of the input.
        after: channels of the output.
        wide: channels between.
        stride: by which it is smaller.
        activation: behind each convolution but the last.
        weighs: whether its channels are weighed by their averages (Hu et al., "Squeeze-and-Excitation Networks",
            arXiv:1709.01507).

    Attributes:
        adds: whether the input is added.
    """

    def __init__(
        self, before: int, after: int, wide: int, stride: int, activation: Activation, *, weighs: bool = False
    ) -> None:
        super().__init__()
        self.adds = stride == 1 and before == after
        self.layers = nn.Sequential(
            convolution(before, wide, 1, activation),
            convolution(wide, wide, 3, activation, stride, groups=wide),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.weights = _weights(after) if weighs else None

    def forward(self, values: Tensor) -> Tensor:
        """(n, before, height, width) -> (n, after, ...), `stride` times smaller."""
        found: Tensor = self.layers(values)
        if self.weights is not None:
            found = found * self.weights(found)
        return values + found if self.adds else found


def convolution(
    before: int, after: int, kernel: int, activation: Activation, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution, its norm and what lies behind it."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        activation(after),
    )


def _weights(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, _SQUEEZED, 1),
        nn.ReLU(),
        nn.Conv2d(_SQUEEZED, channels, 1),
        nn.Sigmoid(),
    )
