"""Errors of a start that name the setting they are about."""

from collections.abc import Iterator
from contextlib import contextmanager


class WrongFile(ValueError):
    """What a setting names cannot be used; the message begins with the setting's variable."""


@contextmanager
def naming(*variables: str) -> Iterator[None]:
    """Puts the variables in front of an error in the block: a library's message often names not even the file.

    Raises:
        WrongFile: instead of OSError and ValueError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise WrongFile(f"{', '.join(variables)}: {error}") from error
