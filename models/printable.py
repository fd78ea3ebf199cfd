"""Texts of strangers in messages and log lines: on one line, with nothing that a terminal obeys. No dependencies."""


def printable(text: str) -> str:
    r"""`text` with an escape like `\n` or `\u2028` in the place of each character that is not printable."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
