"""HiFi-GAN as training data has it: its sizes, its normalised weights, and what it is given."""

import numpy as np
import torch

from lab.training.data.hifi_gan import HifiGan, _resampled, log_mel

RATE = 22_050


def state(channels: int = 8) -> dict[str, torch.Tensor]:
    """Weights of a narrow one by the names of the authors' file."""
    torch.manual_seed(0)
    found: dict[str, torch.Tensor] = {}

    def add(name: str, outputs: int, inputs: int, length: int) -> None:
        # Of a transposed convolution the inputs come first: what is first has a length each.
        found[f"{name}.weight_v"] = torch.randn(outputs, inputs, length)
        found[f"{name}.weight_g"] = torch.full((outputs, 1, 1), 1.2)
        found[f"{name}.bias"] = torch.randn(inputs if name.startswith("ups") else outputs) * 0.1

    add("conv_pre", channels, 80, 7)
    width = channels
    for stage, length in enumerate((16, 16, 4, 4)):
        add(f"ups.{stage}", width, max(1, width // 2), length)
        width = max(1, width // 2)
        for block, kernel in enumerate((3, 7, 11)):
            for part in range(3):
                for side in ("convs1", "convs2"):
                    add(f"resblocks.{stage * 3 + block}.{side}.{part}", width, width, kernel)
    add("conv_post", 1, width, 7)
    return found


@torch.inference_mode()
def test_each_frame_becomes_256_samples_and_weights_count_by_their_direction() -> None:
    mel = torch.randn(1, 80, 10)
    weights = state()
    made = HifiGan(weights)(mel)
    assert made.shape == (2560,)
    assert float(made.abs().max()) <= 1
    assert float(made.std()) > 0
    longer = {name: value * 3 if name.endswith("weight_v") else value for name, value in weights.items()}
    torch.testing.assert_close(HifiGan(longer)(mel), made, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(HifiGan({name: value * 1.1 for name, value in weights.items()})(mel), made)


@torch.inference_mode()
def test_what_a_frame_says_reaches_its_own_place() -> None:
    mel = torch.zeros(1, 80, 200)
    changed = mel.clone()
    changed[:, :, 100] = 3
    weights = state()
    differs = (HifiGan(weights)(mel) - HifiGan(weights)(changed)).abs().numpy()
    middle = float((np.arange(len(differs)) * differs).sum() / differs.sum())
    assert abs(middle - 100.5 * 256) < 256


def test_the_spectrogram_has_a_frame_every_256_samples_up_to_8_khz() -> None:
    time = torch.arange(RATE) / RATE
    low, high = (log_mel(0.5 * torch.sin(2 * torch.pi * hertz * time)) for hertz in (300, 7_000))
    assert low.shape == (80, RATE // 256)
    assert int(low.mean(1).argmax()) < 15
    assert int(high.mean(1).argmax()) > 70
    # Louder is more, and silence has a floor.
    assert float(log_mel(torch.zeros(RATE)).max()) < -11
    assert float(low.max()) > 0


def test_resampling_leaves_no_trace_below_8_khz() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32))
    back = _resampled(_resampled(noise, 16_000, RATE), RATE, 16_000)[:64_000]
    power = [torch.fft.rfft(each).abs().square().view(-1)[:32_000].reshape(160, 200).mean(1) for each in (noise, back)]
    lost = 10 * (power[0] / power[1]).log10()
    assert float(lost[:158].abs().max()) < 0.5  # bands of 50 Hz, up to 7.9 kHz
