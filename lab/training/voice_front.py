"""Whisper's front end written as WavLM convolutions, so that it need not be learned.

WavLM's feature encoder is convolution, layer norm and GELU, again and again. Constant channels that outweigh
all others turn a layer norm into a fixed scaling, which leaves a plain GELU network: Fourier filters and
their magnitudes, mel bands, the logarithm as a sum of piecewise linear functions, and Whisper's own two
convolutions. Only the weights of these functions are fitted, by least squares on a few minutes of speech.
"""

from typing import Any

import numpy as np
import torch
import torchaudio  # type: ignore[import-untyped]
from transformers import WavLMForSequenceClassification
from transformers.models.whisper.modeling_whisper import WhisperEncoder, WhisperEncoderLayer

from lab.line.samples import RATE
from lab.training import voice_teacher

FILTERS = 128
MELS = 80
KNOTS = 8
SPREAD = 32
"""Channels that share the negative sum of all others, so that a layer norm finds a mean of zero."""

CONV_DIM = (4 * FILTERS + 2, KNOTS * MELS + SPREAD + 2, 2 * MELS + 2, 384 + SPREAD + 2, 384 + SPREAD + 2)
CONV_KERNEL = (400, 1, 1, 3, 3)
CONV_STRIDE = (160, 1, 1, 1, 2)

_SHARPNESS = 5.0
_LOUDNESS = 10.0
_GUARD = 300.0
_QUIETEST, _LOUDEST = 0.3, 600.0


def install(model: WavLMForSequenceClassification, teacher: WhisperEncoder, speech: torch.Tensor) -> float:
    """Writes the teacher into a model: the front, and its layers into the model's first ones.

    Args:
        model: Built with `CONV_DIM`, `CONV_KERNEL`, `CONV_STRIDE`, `conv_bias` and the teacher's sizes.
        teacher: From `voice_teacher.encoder`.
        speech: float32 (windows, 64000), normalised; for the fit of the logarithm.

    Returns:
        Relative squared error of the log-mel features on `speech` after the fit.
    """
    layers: Any = model.wavlm.feature_extractor.conv_layers
    ears: Any = teacher
    with torch.no_grad():
        _fourier(layers[0])
        _mel(layers[1])
        error = _logarithm(layers, speech)
        # gelu(x) - gelu(-x) is x: the features come as both signs and are put together again.
        _whisper(layers[3], torch.cat([ears.conv1.weight, -ears.conv1.weight], 1), ears.conv1.bias)
        _whisper(layers[4], ears.conv2.weight, ears.conv2.bias)
        layers[3].layer_norm.weight[-2:] = 0
        _projection(model, teacher)
        for source, target in zip(ears.layers, model.wavlm.encoder.layers, strict=False):
            _copy_layer(source, target)
        _positions(model, teacher, speech[:16])
    return error


def _neutral(layer: Any, guard: float, channels: int, gain: float) -> None:
    """Sets a layer's norm to `gain` times its input for the first `channels`; the rest keeps its size."""
    total = layer.conv.out_channels
    layer.conv.weight[-2:] = 0
    layer.conv.bias[-2:] = torch.tensor([guard, -guard])
    scale = guard * (2 / total) ** 0.5
    layer.layer_norm.weight[:] = scale
    layer.layer_norm.weight[:channels] = gain * scale
    layer.layer_norm.bias[:] = 0


def _balance(layer: Any, channels: int, spread: int) -> None:
    """Lets `spread` channels carry the negative sum of the first `channels`."""
    layer.conv.weight[channels : channels + spread] = -layer.conv.weight[:channels].sum(0) / spread
    layer.conv.bias[channels : channels + spread] = -layer.conv.bias[:channels].sum() / spread


def _fourier(layer: Any) -> None:
    taps = CONV_KERNEL[0]
    frequency = (torch.arange(FILTERS, dtype=torch.float64) + 0.5) * (RATE / 2 / FILTERS)
    phase = 2 * torch.pi * frequency[:, None] * (torch.arange(taps) - taps / 2) / RATE
    window = torch.hann_window(taps, dtype=torch.float64)
    bank = torch.cat([torch.cos(phase), torch.sin(phase)]) * window / window.square().sum().sqrt()
    layer.conv.weight[: 4 * FILTERS, 0] = torch.cat([bank, -bank]).float()
    layer.conv.bias[:] = 0
    _neutral(layer, 1000.0, 4 * FILTERS, _LOUDNESS)


def _mel(layer: Any) -> None:
    """Per mel band and knot t: 1 - magnitude / t."""
    fine = torchaudio.functional.melscale_fbanks(4 * FILTERS + 1, 0.0, 8000.0, MELS, RATE, None, "slaney")
    bank = fine[: 4 * FILTERS].reshape(FILTERS, 4, MELS).mean(1)
    bank = (bank / bank.sum(0)).T
    knots = torch.logspace(np.log10(_QUIETEST), np.log10(_LOUDEST), KNOTS)
    slopes = -(bank[:, None, :] / knots[None, :, None]).reshape(MELS * KNOTS, FILTERS)
    layer.conv.weight[:] = 0
    layer.conv.weight[: MELS * KNOTS, : 4 * FILTERS, 0] = slopes.repeat(1, 4) / 2
    layer.conv.bias[: MELS * KNOTS] = 1.0
    _balance(layer, MELS * KNOTS, SPREAD)
    _neutral(layer, 20000.0, MELS * KNOTS, _SHARPNESS)
    layer.layer_norm.weight[MELS * KNOTS :] = 0


def _logarithm(layers: Any, speech: torch.Tensor) -> float:
    """Fits the log-mel features, with both signs, as a weighted sum over a band and its neighbours."""
    states = speech[:, None]
    for layer in layers[:2]:
        states = layer(states)
    lines = states.transpose(1, 2)[..., : MELS * KNOTS].reshape(-1, MELS, KNOTS)
    truth = voice_teacher.LogMel(centred=False)(speech).transpose(1, 2).reshape(-1, MELS)
    layer = layers[2]
    layer.conv.weight[:] = 0
    layer.conv.bias[:] = 0
    error = 0.0
    for band in range(MELS):
        near = slice(max(0, band - 1), min(MELS, band + 2))
        inputs = lines[:, near].reshape(len(lines), -1).double()
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
        wanted = truth[:, band].double()
        # Regularised towards equal steps, which are correct for any sound; the fit only refines them.
        prior = torch.zeros(inputs.shape[1], dtype=torch.float64)
        own = (band - near.start) * KNOTS
        prior[own : own + KNOTS] = -np.log10(_LOUDEST / _QUIETEST) / (KNOTS - 1) / 2 / _SHARPNESS
        ridge = 0.2 * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
        ridge[-1, -1] = 0
        solved = prior + torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ (wanted - inputs @ prior))
        error += float((inputs @ solved - wanted).square().mean() / wanted.var()) / MELS
        layer.conv.weight[band, near.start * KNOTS : near.stop * KNOTS, 0] = solved[:-1].float()
        layer.conv.bias[band] = solved[-1]
    layer.conv.weight[MELS : 2 * MELS] = -layer.conv.weight[:MELS]
    layer.conv.bias[MELS : 2 * MELS] = -layer.conv.bias[:MELS]
    _neutral(layer, _GUARD, 2 * MELS, 1.0)
    layer.layer_norm.weight[2 * MELS :] = 0
    return error


def _whisper(layer: Any, weight: torch.Tensor, bias: torch.Tensor) -> None:
    outputs, inputs = weight.shape[:2]
    layer.conv.weight[:] = 0
    layer.conv.bias[:] = 0
    layer.conv.weight[:outputs, :inputs] = weight
    layer.conv.bias[:outputs] = bias
    _balance(layer, outputs, SPREAD)
    _neutral(layer, _GUARD, outputs, 1.0)
    layer.layer_norm.weight[outputs:-2] = 0


def _projection(model: Any, teacher: WhisperEncoder) -> None:
    """Undoes the last norm, which the one constant that passes GELU has made a fixed scaling too."""
    project = model.wavlm.feature_projection
    width = teacher.config.d_model
    total = CONV_DIM[-1]
    spread = _GUARD * ((1 / total) * (1 - 1 / total)) ** 0.5
    project.layer_norm.weight[:] = 1
    project.layer_norm.bias[:] = 0
    project.projection.weight[:] = 0
    project.projection.weight[:, :width] = torch.eye(width) * spread
    project.projection.bias[:] = teacher.embed_positions.weight[99] + _GUARD / total
    position = model.wavlm.encoder.pos_conv_embed.conv
    position.parametrizations.weight.original0.zero_()
    position.bias.zero_()


def _copy_layer(source: WhisperEncoderLayer, target: Any) -> None:
    pairs = {
        "self_attn.q_proj": "attention.q_proj",
        "self_attn.k_proj": "attention.k_proj",
        "self_attn.v_proj": "attention.v_proj",
        "self_attn.out_proj": "attention.out_proj",
        "self_attn_layer_norm": "layer_norm",
        "fc1": "feed_forward.intermediate_dense",
        "fc2": "feed_forward.output_dense",
        "final_layer_norm": "final_layer_norm",
    }
    for there, here in pairs.items():
        given: Any = source.get_submodule(there)
        taken = target.get_submodule(here)
        taken.weight.copy_(given.weight)
        if given.bias is None:
            taken.bias.zero_()
        else:
            taken.bias.copy_(given.bias)


def _positions(model: Any, teacher: Any, speech: torch.Tensor) -> None:
    """Converts the effect of absolute positions on the teacher's attention to WavLM's relative position bias.

    The bias table belongs to the first layer; later layers take it times a gate per head.
    """
    mel = voice_teacher.LogMel(centred=False)(speech)
    placed, placeless = (voice_teacher.hidden(teacher, mel, positions) for positions in (True, False))
    frames = placed[0].shape[1]
    table: torch.Tensor | None = None
    for number, layer in enumerate(model.wavlm.encoder.layers[: len(teacher.layers)]):
        attention = layer.attention
        first = model.wavlm.encoder.layers[0].attention
        place = torch.arange(frames)
        buckets = first._relative_positions_bucket(place[None] - place[:, None]).flatten()
        source = teacher.layers[number]
        effect = _attention(source, placed[number]) - _attention(source, placeless[number])
        effect = (effect - effect.mean(-1, keepdim=True)).mean(0).flatten(1)
        counts = torch.bincount(buckets, minlength=first.num_buckets).clamp(min=1)
        found = torch.zeros(first.num_buckets, effect.shape[0]).index_add_(0, buckets, effect.T) / counts[:, None]
        attention.gru_rel_pos_linear.weight[:] = 0
        attention.gru_rel_pos_linear.bias[:] = 0
        # Of the gate a (b c - 1) + 2, with b at a half, c is set to give the target value.
        if table is None:
            table = found
            first.rel_attn_embed.weight[:] = found
            share = torch.ones(effect.shape[0])
        else:
            weight = counts[:, None] * table
            share = (weight * found).sum(0) / (weight * table).sum(0).clamp(min=1e-6)
        attention.gru_rel_pos_const[:] = (2 * (2 * (share - 2) + 1))[None, :, None, None]


def _attention(layer: Any, states: torch.Tensor) -> torch.Tensor:
    """Scores before the softmax: float32 (batch, heads, frames, frames)."""
    states = layer.self_attn_layer_norm(states)
    heads = layer.self_attn.num_heads
    query, key = (
        project(states).unflatten(-1, (heads, -1)).transpose(1, 2)
        for project in (layer.self_attn.q_proj, layer.self_attn.k_proj)
    )
    scores: torch.Tensor = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores
