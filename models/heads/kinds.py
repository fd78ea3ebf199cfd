"""Tells research checkpoints apart by the keys and shapes of their tensors, and fills their modules exactly.

Nothing is filled in: a tensor too many or too few stops it, but for those that the kind names as having no effect.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.classifier import refuse_mismatch
from models.errors import UnsupportedModel
from models.heads.aasist import AASIST, AASIST_L, Aasist, AasistSize
from models.heads.body import body_config
from models.heads.fairseq_names import TRAINING_ONLY, fairseq_name, transformers_name
from models.heads.pooled import AntiDeepfake
from models.heads.rawnet2 import RawNet2
from models.heads.ssl_aasist import SslAasist
from models.heads.ssl_nes2net import Nes2NetSize, SslNes2Net
from models.heads.ssl_sls import SslSls
from models.manifest_names import EXPORT
from models.weights import State

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_TRAINED_SAMPLES = 64_600
_FOUR_SECONDS = 64_000
_COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")
"""Of batch norms: how many batches training saw. No output depends on it."""
_NOTHING = re.compile(r"(?!)")
_BODY = "body.network."
_SHOWN = 5


@dataclass(frozen=True)
class Kind:
    """An architecture of a paper.

    Attributes:
        name: for commands.
        title: with the paper's authors and year.
        is_like: whether tensors look like this kind.
        build: makes the module, its numbers unset; gets the tensors for what their shapes tell.
        window_samples: length of the windows that it was trained or tested with.
        body: prefix of the keys of a self-supervised body under fairseq's names; None: there is no body.
        unused: keys of tensors that published files hold and that have no effect.
    """

    name: str
    title: str
    is_like: Callable[[Mapping[str, Tensor]], bool]
    build: Callable[[Mapping[str, Tensor]], nn.Module]
    window_samples: int = _TRAINED_SAMPLES
    body: str | None = None
    unused: re.Pattern[str] = _NOTHING


_SSL = "ssl_model.model."
_OWN_SSL = "m_ssl.model."
_NES2NET = "Nested_Res2Net_TDNN."
_UNUSED_NORM_2D = re.compile(r"encoder\.[1-5]\.0\.bn1\..+")
_UNUSED_NORM_1D = re.compile(r"block[1-5]\.0\.bn1\..+")


def _nes2net(state: Mapping[str, Tensor]) -> nn.Module:
    blocks = _NES2NET + "Build_in_Res2Nets."
    size = Nes2NetSize(
        outer=1 + len({key.split(".")[2] for key in state if key.startswith(blocks)}),
        inner=1 + len({key.split(".")[4] for key in state if key.startswith(blocks + "0.convs.")}),
        squeezed=int(state[blocks + "0.se.se.1.weight"].shape[0]),
    )
    return SslNes2Net(_config(state, _SSL), size)


def _aasist(name: str, title: str, size: AasistSize) -> Kind:
    return Kind(
        name=name,
        title=title,
        is_like=lambda state: (
            _has(state, "GAT_layer_S.bn.weight", "encoder.0.0.conv1.weight", body=None)
            and _width(state, "pos_S") == size.features
        ),
        build=lambda _state: Aasist(size),
        unused=_UNUSED_NORM_2D,
    )


KINDS: tuple[Kind, ...] = (
    _aasist("aasist", "AASIST (Jung et al. 2022)", AASIST),
    _aasist("aasist-l", "AASIST-L (Jung et al. 2022)", AASIST_L),
    Kind(
        name="rawnet2",
        title="RawNet2, baseline of ASVspoof 2021 (Tak et al. 2021)",
        is_like=lambda state: _has(
            state, "block0.0.conv1.weight", "fc_attention0.0.weight", "gru.weight_ih_l0", body=None
        ),
        build=lambda _state: RawNet2(),
        unused=_UNUSED_NORM_1D,
    ),
    Kind(
        name="antideepfake",
        title="AntiDeepfake (Ge et al. 2025)",
        is_like=lambda state: _has(state, "proj_fc.weight", body=_OWN_SSL),
        build=lambda state: AntiDeepfake(_config(state, _OWN_SSL)),
        window_samples=_FOUR_SECONDS,
        body=_OWN_SSL,
    ),
    Kind(
        name="xlsr-aasist",
        title="SSL_Anti-spoofing: XLS-R and AASIST (Tak et al. 2022)",
        is_like=lambda state: _has(state, "LL.weight", "GAT_layer_S.bn.weight", "pos_S", body=_SSL),
        build=lambda state: SslAasist(_config(state, _SSL)),
        body=_SSL,
        unused=_UNUSED_NORM_2D,
    ),
    Kind(
        name="xlsr-sls",
        title="XLS-R and SLS (Zhang et al. 2024)",
        is_like=lambda state: _has(state, "fc0.weight", "fc1.weight", "fc3.weight", body=_SSL),
        build=lambda state: SslSls(_config(state, _SSL)),
        body=_SSL,
    ),
    Kind(
        name="xlsr-nes2net",
        title="XLS-R and Nes2Net-X (Liu et al. 2025)",
        is_like=lambda state: _has(state, _NES2NET + "fc.weight", _NES2NET + "bns.0.weight", body=_SSL),
        build=_nes2net,
        body=_SSL,
    ),
)
KIND_OF: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def likely(state: Mapping[str, Tensor]) -> Kind | None:
    """The kind that tensors are of, by their keys and shapes; None: of none that is known here."""
    found = [kind for kind in KINDS if kind.is_like(state)]
    return found[0] if len(found) == 1 else None


def recognised(state: Mapping[str, Tensor], name: str) -> Kind:
    """The kind that tensors are of, by their keys and shapes.

    Args:
        state: the tensors.
        name: the file's, for the message.

    Raises:
        UnsupportedModel: they are of no kind known here.
    """
    if (kind := likely(state)) is not None:
        return kind
    shown = ", ".join(sorted(state)[:_SHOWN]) + (f" and {len(state) - _SHOWN} more" if len(state) > _SHOWN else "")
    raise UnsupportedModel(
        f"the keys of {name} are those of no detector known here ({', '.join(KIND_OF)}); it holds {shown}. "
        f"Way: {EXPORT}"
    )


def filled(state: State, kind: Kind, name: str) -> nn.Module:
    """The module with these tensors, in fp32 and evaluation mode, on the CPU.

    Args:
        state: the tensors under their keys in the file.
        kind: what they are.
        name: the file's, for messages.

    Raises:
        UnsupportedModel: the tensors are of another kind, or of sizes that it cannot have.
        CheckpointMismatch: keys or shapes do not fit; they are listed.
    """
    try:
        with torch.device("meta"):  # memory for the tensors alone, which a file may claim to be of any size
            model = kind.build(state)
    except (LookupError, ValueError, ArithmeticError, RuntimeError, TypeError) as error:
        raise UnsupportedModel(f"{name} is no {kind.title}: {error}; leave --as out, or {EXPORT}") from error
    own = model.state_dict()
    given: State = {}
    unexpected = []
    for key, tensor in state.items():
        if kind.unused.fullmatch(key) or _COUNTERS.search(key) or _is_for_training(key, kind):
            continue
        ours = _own_key(key, kind)
        if ours in own and ours not in given:
            given[ours] = tensor
        else:
            unexpected.append(key)
    wanted = [key for key in own if not _COUNTERS.search(key)]
    in_file = _file_keys(state, kind)
    refuse_mismatch(
        name,
        missing=[in_file(key) for key in wanted if key not in given],
        unexpected=unexpected,
        misshapen=[in_file(key) for key, tensor in given.items() if tensor.shape != own[key].shape],
        way=f"Ways: get the file again, or {EXPORT}",
    )
    counters = {key: torch.zeros((), dtype=torch.long) for key in own if _COUNTERS.search(key)}
    numbers = {key: tensor.to(torch.float32) for key, tensor in given.items()}
    model.load_state_dict(numbers | counters, assign=True)
    return model.eval().requires_grad_(False)


def _config(state: Mapping[str, Tensor], prefix: str) -> "PretrainedConfig":
    return body_config({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})


def _has(state: Mapping[str, Tensor], *keys: str, body: str | None) -> bool:
    layers = "encoder.layers." if body is None else body + "encoder.layers."
    has_body = any(layers in key if body is None else key.startswith(layers) for key in state)
    return has_body == (body is not None) and all(key in state for key in keys)


def _width(state: Mapping[str, Tensor], key: str) -> int | None:
    return int(state[key].shape[-1]) if key in state and state[key].dim() else None


def _is_for_training(key: str, kind: Kind) -> bool:
    if kind.body is None or not key.startswith(kind.body):
        return False
    return TRAINING_ONLY.fullmatch(key.removeprefix(kind.body)) is not None


def _own_key(key: str, kind: Kind) -> str | None:
    if kind.body is None or not key.startswith(kind.body):
        return key
    inner = transformers_name(key.removeprefix(kind.body))
    return inner and _BODY + inner


def _file_keys(state: Mapping[str, Tensor], kind: Kind) -> Callable[[str], str]:
    """From a module's key to the one in the file, as far as keys of the file tell."""
    body = kind.body
    if body is None:
        return lambda key: key
    frame_norm = f"{body}feature_extractor.conv_layers.0.2.1.weight" in state
    return lambda key: (
        body + fairseq_name(key.removeprefix(_BODY), frame_norm=frame_norm) if key.startswith(_BODY) else key
    )
