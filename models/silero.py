"""Silero's voice activity detector as a torch module that takes whole batches of windows at once.

int16 windows -> probability of speech for each frame of 32 ms. Only its LSTM is sequential over frames;
everything before it is computed for all frames of all windows together.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from models.graph import Graph

FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64
"""Samples of the previous frame that are input with each frame; zeros for the first one."""
_FFT_SAMPLES = 256
_HOP_SAMPLES = 128
_BINS = _FFT_SAMPLES // 2 + 1
_WIDTH = 128


class SileroGraph(Graph):
    """Computes the same values as silero-vad's own model, which processes one recording frame by frame.

    Input: int16 `(n, frames * 512)`, 16 kHz mono. Output: float32 `(n, frames)` in 0..1. Windows are independent.
    """

    def __init__(self) -> None:
        super().__init__()
        # Sines and cosines under a Hann window: real parts of all bins, then imaginary parts.
        self.register_buffer("basis", torch.empty(2 * _BINS, _FFT_SAMPLES))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, wider, kernel_size=3, stride=stride, padding=1)
            for channels, wider, stride in ((_BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, _WIDTH, 1))
        )
        self.lstm = nn.LSTM(_WIDTH, _WIDTH, batch_first=True)
        self.output = nn.Linear(_WIDTH, 1)

    @classmethod
    def load(cls, weights: Path) -> "SileroGraph":
        """Reads the weights, a safetensors file that fills the module exactly."""
        graph = cls()
        graph.load_state_dict(load_file(weights))
        return graph

    def forward(self, windows: Tensor) -> Tensor:
        """Probability of speech in each frame."""
        samples = pad(windows.to(torch.float32) / 32768.0, (_CONTEXT_SAMPLES, 0))
        frames = samples.unfold(1, _CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)
        features = self._features(frames.reshape(-1, _CONTEXT_SAMPLES + FRAME_SAMPLES))
        hidden, _ = self.lstm(features.view(frames.shape[0], frames.shape[1], _WIDTH))
        return torch.sigmoid(self.output(relu(hidden)))[..., 0]

    def _features(self, frames: Tensor) -> Tensor:
        """(frames, 576) -> (frames, 128), each frame independently."""
        mirrored = pad(frames.unsqueeze(1), (0, _CONTEXT_SAMPLES), mode="reflect").squeeze(1)
        spectrum = mirrored.unfold(1, _FFT_SAMPLES, _HOP_SAMPLES) @ self.get_buffer("basis").T
        real, imaginary = spectrum[..., :_BINS], spectrum[..., _BINS:]
        features = torch.sqrt(real * real + imaginary * imaginary).transpose(1, 2)
        for convolution in self.convolutions:
            features = relu(convolution(features))
        return features.squeeze(-1)
