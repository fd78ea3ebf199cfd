"""Errors of Ray in the words of a scan."""

import contextlib
from collections.abc import Iterator

from bonafide.errors import BonafideError
from models.errors import ModelError
from scan.source import WrongUse


class OtherModel(Exception):
    """A machine of the cluster judges by other arithmetic, or another model, than the one that was asked first."""


class RayEnded(Exception):
    """Ray, or the engine in it, gave up; what is committed stays."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises `WrongUse` where a model or its settings are at fault, else `RayEnded`, in the place of a `RayError`."""
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, ModelError, OtherModel, BonafideError) as error:
        cause = _cause(error)
        if isinstance(cause, ModelError | OtherModel):
            raise WrongUse(f"{cause}") from error
        raise RayEnded(f"Ray ended the scan: {type(cause).__name__}: {cause}") from error


def _cause(error: BaseException) -> BaseException:
    """The error inside those that Ray puts around it."""
    while (inner := getattr(error, "cause", None) or error.__cause__) is not None:
        error = inner
    return error
