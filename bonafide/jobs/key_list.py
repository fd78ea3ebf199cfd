"""Keys of recordings as a file of lines, from untrusted bytes to strings."""

import io
from codecs import BOM_UTF8

from bonafide.errors import InvalidRequest, TooLarge
from bonafide.storage.store import MAX_KEY_BYTES, check_key

_END_OF_LINE = 2
_TIMES_A_KEY = 16


def most_bytes(most_keys: int) -> int:
    """So many bytes have room for so many keys of the greatest length, each with its end of line."""
    return most_keys * (MAX_KEY_BYTES + _END_OF_LINE)


def most_texts(most_keys: int) -> int:
    """So many texts a request may hold, since a key that comes again counts for nothing."""
    return most_keys * _TIMES_A_KEY


def too_many_keys(most: int) -> TooLarge:
    """The refusal of a job over the limit."""
    return TooLarge(f"the job has more than {most} recordings, which is the limit")


def listed_keys(data: bytes | bytearray, most: int) -> list[str]:
    """The keys of a list in their order, each of them once.

    Args:
        data: UTF-8, one key a line, which ends in LF or CRLF; blank lines and a byte order mark count for nothing.
        most: keys that a job may have.

    Raises:
        InvalidRequest: there is no key, or a line is none; the message names the line by its number, from 1.
        TooLarge: there are more keys.
    """
    keys: dict[str, None] = {}
    # Line by line, not split: millions of empty lines would take a hundred times their bytes.
    for number, line in enumerate(io.BytesIO(data), 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)
        if not line.strip():
            continue
        key = _decoded(line.removesuffix(b"\n").removesuffix(b"\r"), number)
        if key in keys:  # millions of lines may be one key
            continue
        _check(key, number)
        keys[key] = None
        if len(keys) > most:
            raise too_many_keys(most)
    if not keys:
        raise InvalidRequest("the list has no key: one is expected on each line")
    return list(keys)


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"line {number}: the list must be UTF-8") from None


def _check(key: str, number: int) -> None:
    try:
        check_key(key)
    except InvalidRequest as error:
        raise InvalidRequest(f"line {number}: {error.message}") from None
