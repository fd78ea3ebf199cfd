"""Where results and errors are printed: colours and bars for a terminal, plain ASCII text elsewhere."""

import json
from typing import Any, TextIO

from rich.console import Console, RenderableType

_PLAIN_WIDTH = 160


class Printer:
    """Prints to one stream. `blocks` tells whether bars may be drawn with Unicode blocks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.console = Console(
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
        self.console.print(what)

    def document(self, fields: dict[str, Any]) -> None:
        """Prints one JSON document in one line, at once, for a reader at the other end of a pipe."""
        self._stream.write(json.dumps(fields, allow_nan=False) + "\n")
        self._stream.flush()
