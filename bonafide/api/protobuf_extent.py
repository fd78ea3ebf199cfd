"""How much a protobuf message holds, told before it is parsed.

What a parser makes of 16 MB of empty strings takes half a second and hundreds of megabytes, and no other call goes on
meanwhile.
"""

from bonafide.errors import TooLarge

_MORE = 0x80
_KIND = 7
"""Of a field: 0 varint, 1 of 8 bytes, 2 with its length, 3 and 4 begin and end of a group, 5 of 4 bytes."""
_LONGEST_VARINT = 10


def require_few_fields(message: bytes, most: int) -> None:
    """Refuses a message of more fields; each text of a list is one. Slow: for threads.

    Args:
        message: or other bytes: what is none of the format is left to its parser.
        most: fields.

    Raises:
        TooLarge: there are more.
    """
    at, count = 0, 0
    try:
        while at < len(message):
            tag, at = _varint(message, at)
            match tag & _KIND:
                case 0:
                    _, at = _varint(message, at)
                case 1:
                    at += 8
                case 2:
                    size, at = _varint(message, at)
                    at += size
                case 5:
                    at += 4
            count += 1
            if count > most:
                raise TooLarge(f"the message has more than {most} fields")
    except (IndexError, ValueError):
        return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = message[at]
    if value < _MORE:
        return value, at + 1
    value &= ~_MORE
    for place in range(1, _LONGEST_VARINT):
        byte = message[at + place]
        value |= (byte & ~_MORE) << 7 * place
        if byte < _MORE:
            return value, at + place + 1
    raise ValueError("a number of more bytes than one has")
