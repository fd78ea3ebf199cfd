"""What a run that can be resumed is made of, noted beside what it keeps, so that no other one goes on with that."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.atomic import atomic

NOTE = "run.json"


def begun_before(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Notes what a run is made of, or compares it with the run that was begun in the folder.

    Args:
        folder: of what it keeps; it is made.
        facts: what decides that, JSON types by name.

    Returns:
        Whether it was begun before.

    Raises:
        ValueError: another one was begun there, or its note cannot be read; the message names the facts that differ.
    """
    note, told = folder / NOTE, json.loads(json.dumps(facts))
    if not note.is_file():
        with atomic(note) as fresh:
            fresh.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return False
    try:
        begun = json.loads(note.read_text(encoding="utf-8"))
        names = {*told, *begun}
        changed = sorted(name for name in names if begun.get(name) != told.get(name))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{note} cannot be read ({error}): remove {folder}") from error
    if changed:
        raise ValueError(f"{folder} holds a training with another {', '.join(changed)}; go on with that, or remove it")
    return True


def digest_of(*contents: bytes) -> str:
    """12 hex digits over contents in their order."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]
