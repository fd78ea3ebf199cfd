"""Numbers in an extractor's file, within bounds: the file is untrusted, and sizes of arrays come from it."""

import math
from collections.abc import Mapping
from typing import Any

from models.errors import UnsupportedModel

_MOST = 100_000


def whole(settings: Mapping[str, Any], name: str, default: int) -> int:
    """A number of things, 1 to 100,000.

    Raises:
        UnsupportedModel: it is none.
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST or value != int(value):
        raise UnsupportedModel(f"{name} is {value!r} in the model's files; it must be a whole number from 1 to {_MOST}")
    return int(value)


def real(settings: Mapping[str, Any], name: str, default: float) -> float:
    """A finite number.

    Raises:
        UnsupportedModel: it is none.
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnsupportedModel(f"{name} is {value!r} in the model's files; it must be a number")
    return float(value)
