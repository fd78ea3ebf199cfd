"""API keys: made by a command, kept as hashes, looked up in constant time. Independent of transports.

    python -m bonafide.security.keys new NAME >> keys      # the key itself is shown once, on the terminal

One line per key: `NAME sha256:HEX [CALLS-PER-MINUTE]`; `#` begins a comment. With two names for one caller, a key
can be replaced without a gap. A key is 256 random bits, so a plain SHA-256 cannot be inverted; slow hashes, which
protect passwords that can be guessed, are not needed, and would cost every call a tenth of a second.
"""

import argparse
import hashlib
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bonafide.security.file_changes import LOOK_S, FileChanges

logger = logging.getLogger(__name__)

KEY_PREFIX = "bonafide_"
"""Prefix by which scanners find a key that was committed or pasted by mistake."""
_MAX_KEY = 256
_MOST_CALLS = 999_999_999
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})\s+sha256:(?P<digest>[0-9a-f]{64})(?:\s+(?P<rate>[1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class ApiKey:
    """A key as stored by the service.

    Attributes:
        name: who calls with it; for logs.
        digest: SHA-256 of the key.
        calls_per_minute: its own limit, or None for the common one.
    """

    name: str
    digest: bytes
    calls_per_minute: int | None = None


class KeyStore:
    """The keys of a file, read again when it changes, or of a text.

    A file that has become unreadable, empty or malformed changes nothing: the known keys stay in use, and an error is
    logged. One that is being written is not read yet.

    Args:
        source: a file, or the lines themselves.
        look_s: least seconds between two checks of the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is malformed, or there is no key at all.
    """

    def __init__(self, source: Path | str, look_s: float = LOOK_S) -> None:
        self._path = source if isinstance(source, Path) else None
        self._changes = FileChanges([source], look_s) if isinstance(source, Path) else None
        self._keys = parse(source.read_text() if isinstance(source, Path) else source)
        if not self._keys:
            raise ValueError("no API key, so nobody could call; `python -m bonafide.security.keys new NAME` makes one")

    def find(self, presented: str) -> ApiKey | None:
        """The key that was presented, or None, in constant time for every key, known or not."""
        self._refresh()
        if len(presented) > _MAX_KEY:
            return None
        digest = _digest(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _refresh(self) -> None:
        if self._path is None or self._changes is None or not self._changes.changed():
            return
        try:
            text = self._path.read_text()
            if not text.strip():  # it is being written; one with a comment alone takes every key away
                raise ValueError("the file is empty")
            keys = parse(text)
            if not self._changes.is_read_whole():
                return
            self._keys = keys
        except (OSError, ValueError) as error:
            logger.error("the API keys cannot be read again; those known stay", extra={"cause": str(error)})
            self._changes.failed(error)
        else:
            logger.info("API keys read again", extra={"names": [key.name for key in self._keys]})


def parse(text: str) -> list[ApiKey]:
    """Reads the lines of a key file.

    Raises:
        ValueError: names the number of the wrong line, not its content, which might be a key.
    """
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        match = _LINE.fullmatch(content)
        if match is None:
            raise ValueError(f"API keys, line {number}: not `NAME sha256:HEX [CALLS-PER-MINUTE]`")
        if match["name"] in keys:
            raise ValueError(f"API keys, line {number}: there is a key named {match['name']} already")
        rate = int(match["rate"]) if match["rate"] else None
        keys[match["name"]] = ApiKey(match["name"], bytes.fromhex(match["digest"]), rate)
    return list(keys.values())


def new_key(name: str, calls_per_minute: int | None = None) -> tuple[str, str]:
    """Makes a key.

    Returns:
        The key, for the caller alone, and the line for the file.

    Raises:
        ValueError: the name or the limit is not valid in the file.
    """
    if calls_per_minute is not None and not 1 <= calls_per_minute <= _MOST_CALLS:
        raise ValueError(
            f"a key's own limit is 1 to {_MOST_CALLS} calls a minute; without one the common limit applies"
        )
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    line = f"{name} sha256:{_digest(key).hex()}" + (f" {calls_per_minute}" if calls_per_minute else "")
    if _LINE.fullmatch(line) is None:
        raise ValueError("a name is 1 to 64 letters, digits, and any of _ . -")
    return key, line


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bonafide.security.keys", description="Makes API keys.")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "new", help="make a key: its line for the key file goes to standard output, the key itself to standard error"
    )
    command.add_argument("name", help="who will call with it; appears in logs")
    command.add_argument("--calls-per-minute", type=int, help="its own limit; else the common one applies")
    options = parser.parse_args(argv)
    try:
        key, line = new_key(options.name, options.calls_per_minute)
    except ValueError as error:
        parser.error(str(error))
    sys.stderr.write(f"The key, shown only now: {key}\n")
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
