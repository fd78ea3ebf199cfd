"""How much a JSON text holds, told before it is parsed.

What a parser makes of 16 MB of empty lists takes it seconds and half a gigabyte, and no other call goes on meanwhile.
"""

import re

from bonafide.errors import InvalidRequest, TooLarge

MOST_OPENED = 100
"""Lists, objects and fields of a document, of which those of callers have less than ten."""
MOST_OPENED_IN_FRAME = 10_000
"""Lists, objects and fields of a WebSocket's text frame, of which those of clients and exchanges have a few: what is
made of one of 2 MB, or tells of its error, takes up to seconds."""
_TOKEN = re.compile(rb'[^",:\[{]*+(?:"[^"]*"?|([:\[{])|,|$)')
"""With what lies before it: a string without escapes, a comma, or what begins a list, an object or a field's value."""
_OPENING = (b"[", b"{", b":", b",")


def require_one_value(text: bytes | bytearray) -> None:
    """Refuses a text that holds more than an object of few fields whose texts have neither commas nor brackets.

    Raises:
        InvalidRequest: it does.
    """
    if sum(text.count(each) for each in _OPENING) > MOST_OPENED:
        raise _opened()


def require_frame(text: str) -> None:
    """Refuses a text frame that holds more than one of a live session has use for.

    Raises:
        InvalidRequest: it does.
    """
    if sum(text.count(each) for each in "[{:") > MOST_OPENED_IN_FRAME:
        raise InvalidRequest(f"the frame has more than {MOST_OPENED_IN_FRAME} lists, objects and fields")


def require_few_strings(text: bytes | bytearray, most: int) -> None:
    """Refuses a text that holds more than an object of few fields, with strings and lists of them. Slow: for threads.

    Args:
        text: JSON or not.
        most: strings.

    Raises:
        InvalidRequest: there are more lists, objects and fields.
        TooLarge: there are more strings or other values.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    opened = 0
    for count, token in enumerate(_TOKEN.finditer(text), 1):
        if count > 2 * (most + MOST_OPENED):  # a comma follows each
            raise TooLarge(f"the document has more than {most} texts")
        opened += token.lastindex is not None
        if opened > MOST_OPENED:
            raise _opened()


def _opened() -> InvalidRequest:
    return InvalidRequest(f"the document has more than {MOST_OPENED} fields, lists and objects")
