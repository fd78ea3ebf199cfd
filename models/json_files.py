"""JSON files of a checkpoint."""

import json
from pathlib import Path
from typing import Any

from models.errors import UnsupportedModel


def json_object(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        UnsupportedModel: the file is missing, broken, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"{path.name} of {path.parent.name} cannot be read: {error}; get it again") from error
    if not isinstance(content, dict):
        raise UnsupportedModel(f"{path.name} of {path.parent.name} holds no JSON object; get it again")
    return content
