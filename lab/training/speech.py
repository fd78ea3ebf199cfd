"""Extracts the weights of the bundled speech detector from silero-vad: `python -m lab.training.speech`.

The wheel holds its current 16 kHz weights as TorchScript and as ONNX only (its safetensors file is of an older
release), so they are read from the TorchScript file and written under the names that `models.silero` uses.
"""

import warnings
from importlib.metadata import distribution
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.speech import WEIGHTS

_NAMES = {
    "stft.forward_basis_buffer": "basis",
    **{
        f"encoder.{layer}.reparam_conv.{part}": f"convolutions.{layer}.{part}"
        for layer in range(4)
        for part in ("weight", "bias")
    },
    **{f"decoder.rnn.{part}_{side}": f"lstm.{part}_{side}_l0" for part in ("weight", "bias") for side in ("ih", "hh")},
    "decoder.decoder.2.weight": "output.weight",
    "decoder.decoder.2.bias": "output.bias",
}


def silero_model() -> torch.jit.ScriptModule:
    """Silero's own model from the installed package, whose import would set the process to one thread."""
    path = distribution("silero-vad").locate_file("silero_vad/data/silero_vad.jit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package contains TorchScript
        return torch.jit.load(str(path))  # type: ignore[no-untyped-call,no-any-return]


def silero_weights() -> dict[str, Tensor]:
    """Its 16 kHz weights, float32, under the names of `models.silero`."""
    theirs = silero_model().state_dict()
    ours = {name: theirs[f"_model.{their_name}"] for their_name, name in _NAMES.items()}
    ours["basis"] = ours["basis"].squeeze(1)
    ours["output.weight"] = ours["output.weight"].squeeze(-1)
    return {name: tensor.contiguous() for name, tensor in ours.items()}


def main(target: Path = WEIGHTS) -> None:
    """Command line."""
    save_file(silero_weights(), target)


if __name__ == "__main__":
    main()
