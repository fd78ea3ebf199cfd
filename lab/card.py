"""The front matter of a model card: the values between the first dashes of the `README.md` beside the weights."""

from pathlib import Path
from typing import Any

import yaml


def front_matter(folder: Path) -> dict[str, Any]:
    """The values by name; empty when there is no card, or none that can be read."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if not text.startswith("---"):
        return {}
    try:
        facts = yaml.safe_load(text.removeprefix("---").split("\n---", 1)[0])
    except yaml.YAMLError:
        return {}
    return facts if isinstance(facts, dict) else {}


def licence(folder: Path) -> str | None:
    """The licence that the card states, or None."""
    facts = front_matter(folder)
    stated = facts.get("license_name") if facts.get("license") == "other" else facts.get("license")
    return str(stated or facts.get("license") or "") or None
