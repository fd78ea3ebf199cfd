"""JSON files of a checkpoint."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import UnsupportedModel


def json_object(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        UnsupportedModel: the file is missing, broken, names something twice, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=named_once)
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(f"{path.name} of {path.parent.name} cannot be read: {error}; get it again") from error
    if not isinstance(content, dict):
        raise UnsupportedModel(f"{path.name} of {path.parent.name} holds no JSON object; get it again")
    return content


def named_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary; for `json.loads`.

    Raises:
        ValueError: a name occurs twice; the last value would silently count, and may be another label.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise ValueError(f"it has {', '.join(map(repr, twice))} more than once")
    return found
