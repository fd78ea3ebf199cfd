r"""Names of files that are not UTF-8, as text: each byte that does not belong becomes `\xe9`, each backslash `\\`.

Such a key has a `.` before its last segment (`2024/./caf\xe9.wav`), which no key of an object may have.
"""

import os


def key_of_name(name: str) -> str:
    """The key of a file, from its path below the archive as Python has it: with surrogates for what is not UTF-8."""
    if is_text(name):
        return name
    parent, slash, last = as_text(name).rpartition("/")
    return f"{parent}{slash}./{last}"


def is_escaped(key: str) -> bool:
    """Whether a key is one of `key_of_name` that stands for a name that is not UTF-8."""
    return key.split("/")[-2:-1] == ["."] and "\\x" in key


def as_text(name: str) -> str:
    """A path that can be written down; one that is UTF-8 stays as it is."""
    if is_text(name):
        return name
    return os.fsencode(name.replace("\\", "\\\\")).decode(errors="backslashreplace")


def is_text(name: str) -> bool:
    """Whether a name is Unicode."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
