"""Weight files to tensors: safetensors, or what `torch.save` wrote. Nothing that a file names is ever called."""

import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from models.errors import CheckpointMismatch
from models.weight_files import lacks_index

State = dict[str, Tensor]

_WRAPPER = "module."
"""What `DataParallel` and `DistributedDataParallel` put before each key."""
_ZIP = b"PK\x03\x04"
_NAMED = re.compile(r"GLOBAL ([\w.]{1,100}) (?:was not|whose)")


class _Omitted:
    """Stands for a value beside the weights. It keeps nothing, since what makes such a value is not called."""

    def __init__(self, *_: object) -> None:
        """Takes the arguments of any constructor."""

    def __setstate__(self, _: object) -> None:
        """Takes the state of any object."""


def _omitted_dict(*_: object) -> dict[Any, Any]:
    return {}


_OMITTED = (
    *("numpy.dtype", "numpy.ndarray"),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("argparse.Namespace", "datetime.datetime", "torch.torch_version.TorchVersion"),
    *(f"pathlib.{name}" for name in ("Path", "PosixPath", "WindowsPath", "_local.PosixPath", "_local.WindowsPath")),
    *(f"builtins.{name}" for name in ("dict", "float", "int", "list", "str")),
)
"""What training programs save beside the weights; the last are what a `defaultdict` makes its values with."""
_STAND_INS: list[Any] = [*((_Omitted, name) for name in _OMITTED), (_omitted_dict, "collections.defaultdict")]
"""By these names, torch's restricted unpickler uses our stand-ins. numpy's own constructors would not be harmless: a
crafted dtype makes numpy take bytes of the file for addresses."""


def read_state(path: Path) -> State:
    """The weights by their keys, on the CPU; `model_state_dict` and `module.` around them are removed.

    Args:
        path: a `.safetensors` file, or one that `torch.save` wrote, in its present (zip) or its older format.

    Raises:
        CheckpointMismatch: not such a file, broken, or it holds no state dict or more than is read safely.
    """
    if path.suffix == ".safetensors":
        try:
            require_real(path)
            return _unwrapped(load_file(path))
        except (SafetensorError, OSError) as error:
            raise CheckpointMismatch(
                f"the weights of {path.name} cannot be read: {error}; get the file again"
            ) from error
    content = _unpickled(path)
    if isinstance(content, Mapping) and isinstance(content.get("model_state_dict"), Mapping):
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointMismatch(
            f"{path.name} holds no state dict, neither bare nor under model_state_dict; save model.state_dict()"
        )
    _require_real(path, [str(key) for key, tensor in content.items() if not tensor.is_floating_point()])
    return _unwrapped(content)


def require_real(path: Path) -> None:
    """Refuses a safetensors file whose weights are whole or complex numbers: a cast makes others of quantized ones.

    Raises:
        CheckpointMismatch: they are, or the file is broken.
    """
    _require_real(path, [key for key, dtype in _headers(path, "get_dtype").items() if "F" not in dtype])


def _require_real(path: Path, others: Sequence[str]) -> None:
    if wrong := [key for key in others if key.endswith((".weight", ".bias"))]:
        raise CheckpointMismatch(
            f"{path.name} holds {wrong[0]} as whole or complex numbers, so it is quantized or broken: save the model "
            "in fp32, fp16 or bf16"
        )


def needs_own_reading(files: Sequence[Path]) -> bool:
    """Whether transformers would not read the weights as `read_state` does.

    It would not those that are pickled, parts without an index, and those with a wrapper in their keys.

    Raises:
        CheckpointMismatch: a file is broken.
    """
    if any(path.suffix != ".safetensors" for path in files) or lacks_index(files):
        return True
    keys = [key for path in files for key in _headers(path, "get_shape")]
    return _is_wrapped(keys)


def parameter_count(path: Path) -> int:
    """How many numbers a weight file holds.

    Raises:
        CheckpointMismatch: see `read_state`.
    """
    if path.suffix == ".safetensors":
        return sum(int(np.prod(shape)) for shape in _headers(path, "get_shape").values())
    return sum(tensor.numel() for tensor in read_state(path).values())


def _headers(path: Path, what: Literal["get_shape", "get_dtype"]) -> dict[str, Any]:
    """Shapes or types by key, from the file's header alone."""
    try:
        with safe_open(path, "pt") as tensors:
            return {key: getattr(tensors.get_slice(key), what)() for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(f"the weights of {path.name} cannot be read: {error}; get the file again") from error


def _unpickled(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            is_zip = stream.read(len(_ZIP)) == _ZIP
        # A protocol of pickle that torch does not expect is a warning first, and then the error that tells it.
        with torch.serialization.safe_globals(_STAND_INS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except UnpicklingError as error:
        named = _NAMED.search(str(error))
        more = f"more than tensors ({named[1]})" if named else "more than tensors"
        raise CheckpointMismatch(
            f"{path.name} holds {more}, and unpickling it could run untrusted code; "
            "save its state_dict() alone, best as safetensors"
        ) from error
    # A torn pickle ends torch's unpickler in any of these.
    except (
        *(RuntimeError, EOFError, ValueError, OSError, LookupError),
        *(TypeError, AttributeError, AssertionError, MemoryError, struct.error),
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointMismatch(f"{path.name} cannot be read as a torch checkpoint: {reason}; get it again") from error


def _unwrapped(state: Mapping[Any, Tensor]) -> State:
    keys = [str(key) for key in state]
    if _is_wrapped(keys):
        keys = [key.removeprefix(_WRAPPER) for key in keys]
    return dict(zip(keys, state.values(), strict=True))


def _is_wrapped(keys: Sequence[str]) -> bool:
    return bool(keys) and all(key.startswith(_WRAPPER) for key in keys)
