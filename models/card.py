"""The front matter of a model card: the values between the first dashes of the `README.md` beside the weights."""

from pathlib import Path
from typing import Any

import yaml

_MAX_BYTES = 65_536
"""Of a card, front matter first: a checkpoint comes from anywhere."""
_MAX_NOTICE = 500


def front_matter(folder: Path) -> dict[str, Any]:
    """The values by name; empty when there is no card, or none that can be read."""
    try:
        with (folder / "README.md").open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    if not text.startswith("---"):
        return {}
    try:
        facts = yaml.safe_load(text.removeprefix("---").split("\n---", 1)[0])
    except (yaml.YAMLError, ValueError, RecursionError):  # the second: a date like 2023-02-30, a number like 0x_
        return {}
    return facts if isinstance(facts, dict) else {}


def notice(folder: Path) -> str:
    """What whoever asks for the model's status is told of it, in a line of 500 characters at most; mostly empty."""
    stated = front_matter(folder).get("notice")
    return " ".join(stated.split())[:_MAX_NOTICE] if isinstance(stated, str) else ""


def licence(folder: Path) -> str | None:
    """The licence that the card states, or None."""
    facts = front_matter(folder)
    stated = facts.get("license_name") if facts.get("license") == "other" else facts.get("license")
    return str(stated or facts.get("license") or "") or None
