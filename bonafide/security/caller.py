"""The caller of the running call: set where its key is checked, read where origins and limits depend on it."""

from contextvars import ContextVar

from bonafide.security.access import ANONYMOUS
from bonafide.telemetry import bind_caller

_caller: ContextVar[str] = ContextVar("caller", default=ANONYMOUS)


def set_caller(caller: str) -> None:
    """Names the caller of the running call, for the call's tasks and in its log lines.

    Args:
        caller: what `Access.admit` returned.
    """
    _caller.set(caller)
    bind_caller(caller)


def current_caller() -> str:
    """The caller of the running call; `ANONYMOUS` where no key was required."""
    return _caller.get()
