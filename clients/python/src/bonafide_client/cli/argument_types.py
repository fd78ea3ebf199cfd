"""Single words of the command line, checked; a wrong one is an `ArgumentTypeError`, which argparse tells."""

import argparse
import re
from pathlib import Path


def word(text: str) -> str:
    """Not empty: `"$FILE"` of a script whose variable is not set is no option that was left away."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def path(text: str) -> Path:
    """Of a file or folder."""
    return Path(word(text))


def seconds(text: str) -> float:
    """A time, 0 for none."""
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a time in seconds")
    return value


def channel_mode(text: str) -> str:
    """Which channels are judged."""
    if re.fullmatch("auto|mix|separate|[0-9]{1,4}", text) is None:
        raise argparse.ArgumentTypeError(f"{text} is not auto, mix, separate or the number of a channel")
    return text


def count(text: str) -> int:
    """At least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def place(text: str) -> int:
    """How many results of a job."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not a number of results")
    return value


def share(text: str) -> float:
    """A probability or a difference of two, 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
