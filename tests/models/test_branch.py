"""What branches share: filters of a Fourier transform, windows of one level."""

import numpy as np
import pytest
import torch

from models.branch import even_peak, fourier


@pytest.mark.parametrize("length", [320, 512])
def test_the_filters_are_a_windowed_fourier_transform(length: int) -> None:
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 1, length).astype(np.float32))
    window = torch.hann_window(length)
    parts = torch.nn.functional.conv1d(samples[None, None], fourier(window)).squeeze()
    expected = np.fft.rfft(samples.numpy() * window.numpy())
    np.testing.assert_allclose(parts[: length // 2 + 1], expected.real, atol=1e-3)
    np.testing.assert_allclose(parts[length // 2 + 1 :], expected.imag, atol=1e-3)


def test_each_window_gets_a_peak_of_one() -> None:
    even = even_peak(torch.tensor([[0.1, -0.2, 0.05], [100.0, 30, 0], [0, 0, 0]]))
    torch.testing.assert_close(even.abs().amax(1), torch.tensor([1.0, 1, 0]))
