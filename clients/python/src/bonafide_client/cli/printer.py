"""Where results and errors are printed: colours and bars for a terminal, plain ASCII text elsewhere."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from rich.console import Console, RenderableType

from .outcome import UNANSWERED

_PLAIN_WIDTH = 160


class OutputError(Exception):
    """What was to be printed is lost, as on a full disk; no OSError, which a file that is judged may raise too."""


@contextmanager
def _takes_output() -> Iterator[None]:
    """Whoever prints in the block is told by OutputError what cannot be printed."""
    with readers_may_leave():
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"the output cannot be written: {error.strerror or error}") from error


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """What is printed in the block, by `bonafide ... | head`, ends the process as it does every other program.

    Python's exit code would be 1, which means spoof. SIGPIPE is not simply left to end the process: it would for the
    pipes of libraries too.
    """
    try:
        yield
    except BrokenPipeError:
        _end()


def _end() -> NoReturn:
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    raise SystemExit(UNANSWERED)


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """See rich, which would exit with 1."""
        _end()


class Printer:
    """Prints to one stream. `blocks` tells whether bars may be drawn with Unicode blocks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.console = _Output(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            width=None if stream.isatty() else _PLAIN_WIDTH,
        )
        self.blocks = self.console.is_terminal and self.console.encoding.startswith("utf")

    def print(self, what: RenderableType) -> None:
        """Prints something for eyes."""
        with _takes_output():
            self.console.print(what)

    def document(self, fields: dict[str, Any]) -> None:
        """Prints one JSON document in one line, at once, for a reader at the other end of a pipe."""
        with _takes_output():
            self._stream.write(json.dumps(fields, allow_nan=False) + "\n")
            self._stream.flush()
