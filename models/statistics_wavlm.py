"""A WavLM that is judged by statistics over time: mean and deviation of its front's and its last layer's frames.

Beside them stand statistics of the short-time spectrum, which the first convolution computes anyway. What a vocoder
leaves behind is often in how much frames vary, and a mean alone does not tell it. The folder is in transformers'
format; its `config.json` names this class under `architectures`.
"""

import torch
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from models.power_branch import PowerBranch
from models.spectral_branch import SpectralBranch

BRANCHES: dict[str, type[SpectralBranch] | type[PowerBranch]] = {
    "spectral_branch_channels": SpectralBranch,
    "power_branch_channels": PowerBranch,
}
"""By the entry of the configuration that tells their channels."""

_FLOOR = 1e-3
"""Power below which a spectral band counts as silent, where a window of white noise has about 100."""
_SMALL = 1e-4
_SIGNS = 4
"""The first convolution holds cosine, sine, and both negated, behind each of which is a GELU."""


class WavLMForStatistics(WavLMForSequenceClassification):  # type: ignore[no-untyped-call]
    """`wavlm` -> statistics -> standardised -> `projector` -> GELU -> `classifier`, and the branches' odds added.

    Args:
        config: of WavLM, with `spectral_filters`, how many Fourier filters the first convolution holds, and
            `silence_gate`, see `speech_share`. The other convolutions halve the rate of the first, and reach over five
            of its frames. Channels of branches stand under the names in `BRANCHES`; without them there is none.
    """

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__(config)
        width = statistics_width(config)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.projector = nn.Linear(width, config.classifier_proj_size)
        self.branches = nn.ModuleDict()
        for entry, made in BRANCHES.items():
            channels = getattr(config, entry, None)
            if channels is not None:
                self.branches[entry.removesuffix("_channels")] = made(channels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(  # windows of one length are never padded: there is no attention mask
        self, input_values: Tensor, labels: Tensor | None = None, **_: object
    ) -> SequenceClassifierOutput:
        """(n, samples), normalised -> logits (n, 2); with labels, int64 (n,), the mean loss too."""
        logits = self.judged(*self.front(input_values))
        for branch in self.branches.values():
            logits = either(logits, branch(input_values))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def front(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """What lies before the layers.

        Returns:
            The layers' input, (n, frames, width), and the log spectrum, float32 (n, twice the frames and 4, filters).
        """
        first, *others = self.wavlm.feature_extractor.conv_layers
        states = first(samples[:, None])
        spectrum = log_spectrum(states, int(self.config.spectral_filters))
        for layer in others:
            states = layer(states)
        projected: Tensor = self.wavlm.feature_projection(states.transpose(1, 2))[0]
        return projected, spectrum

    def judged(self, front: Tensor, spectrum: Tensor) -> Tensor:
        """The output of `front` -> logits (n, 2)."""
        states = self.wavlm.encoder(front).last_hidden_state
        return self.head(statistics(front, states, spectrum, float(self.config.silence_gate)))

    def head(self, statistics: Tensor) -> Tensor:
        """Statistics, float32 (n, width) -> logits float32 (n, 2)."""
        standard = (statistics - self.get_buffer("centre").float()) / self.get_buffer("spread").float()
        # In float32 whatever the layers compute in: single statistics decide, and there are few of them.
        hidden = nn.functional.gelu(_linear(self.projector, standard))
        return _linear(self.classifier, hidden)


def either(logits: Tensor, spoof: Tensor) -> Tensor:
    """Odds of spoof are those of the head and those of a branch together.

    What one of them is blind to, the other may know; their sum would need both.

    Args:
        logits: of the head, (n, 2); class 1 is spoof.
        spoof: of the branch, (n,).

    Returns:
        Logits (n, 2).
    """
    own = logits[:, 1] - logits[:, 0]
    half = (own + nn.functional.softplus(spoof - own)) / 2
    return torch.stack([-half, half], 1)


def statistics_width(config: WavLMConfig) -> int:
    """How many statistics a window has."""
    return 4 * int(config.hidden_size) + 3 * int(config.spectral_filters)


def log_spectrum(states: Tensor, filters: int) -> Tensor:
    """The first convolution's output (n, channels, frames) -> log power, float32 (n, frames, filters)."""
    cosine, sine, less_cosine, less_sine = states[:, : _SIGNS * filters].float().chunk(_SIGNS, 1)
    # gelu(x) + gelu(-x) is close to |x|, and to x squared where x is small.
    power = (cosine + less_cosine).square() + (sine + less_sine).square()
    return torch.log(power + _FLOOR).transpose(1, 2)


def statistics(front: Tensor, states: Tensor, spectrum: Tensor, gate: float) -> Tensor:
    """What the head sees.

    Args:
        front: the layers' input, (n, frames, width).
        states: their output, the same shape.
        spectrum: of `log_spectrum`, from the same samples.
        gate: see `speech_share`.

    Returns:
        Mean and deviation of each, and the spectrum's deviation from frame to frame, float32 (n, statistics_width).
    """
    shares = speech_share(spectrum, gate)
    of_frames = shares[:, 2::2][:, : front.shape[1]]
    steps = (spectrum[:, 1:] - spectrum[:, :-1]).square()
    # Of the sum of all frames' shares, which is never zero: a window may have a single one.
    roughness = torch.sqrt((steps * shares[:, 1:, None]).sum(1) / shares.sum(1)[:, None] + _SMALL)
    return torch.cat([moments(front, of_frames), moments(states, of_frames), moments(spectrum, shares), roughness], 1)


def speech_share(spectrum: Tensor, gate: float) -> Tensor:
    """How much each frame counts, float32 (n, frames): 1 where it is loud, 0 in pauses.

    A frame `gate` times as strong as the window's loud parts counts a half. Pauses tell of the recording, and of how it
    was trimmed, rather than of the voice.
    """
    power = spectrum.exp().sum(2)
    # The mean of the power weighted by itself: more silence does not change it.
    loud = (power * power).sum(1, keepdim=True) / power.sum(1, keepdim=True)
    return power / (power + gate * loud)


def moments(frames: Tensor, shares: Tensor) -> Tensor:
    """(n, frames, width), weighted by (n, frames) -> mean and deviation over time, float32 (n, 2 width)."""
    values, weights = frames.float(), (shares / shares.sum(1, keepdim=True))[..., None]
    mean = (values * weights).sum(1, keepdim=True)
    deviation = torch.sqrt(((values - mean).square() * weights).sum(1) + _SMALL)
    return torch.cat([mean.squeeze(1), deviation], 1)


def _linear(layer: nn.Linear, values: Tensor) -> Tensor:
    return nn.functional.linear(values, layer.weight.float(), layer.bias.float())
