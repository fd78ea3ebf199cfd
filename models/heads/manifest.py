"""What a converted research checkpoint says of itself: the content of its `bonafide.json`."""

import re
from typing import Any

from models.errors import UnsupportedModel
from models.heads.kinds import Kind

INPUT = "samples"
OUTPUT = "logits"
LABELS = ("spoof", "bonafide")
"""Of all kinds here: index 1 is the bona fide class in their training programs, and the score is its logit."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. /+-]{0,99}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_MIN_SAMPLES = 400


def manifest(kind: Kind, *, name: str, version: str, licence: str) -> dict[str, Any]:
    """The manifest, JSON types.

    Args:
        kind: the architecture.
        name: of the model, in every answer.
        version: of the weights, behind the name.
        licence: under which the weights are used.

    Raises:
        UnsupportedModel: a text is empty, too long, or has characters that it must not have.
    """
    for field, value, allowed in (("name", name, _NAME), ("version", version, _NAME), ("licence", licence, _LINE)):
        if not allowed.fullmatch(value):
            raise UnsupportedModel(
                f"{field} {value[:100]!r} cannot stand in a manifest: it must match {allowed.pattern}"
            )
    window = {"samples": kind.window_samples, "short": "repeat", "last": "reach_back", "min_samples": _MIN_SAMPLES}
    return {
        "format": 1,
        "task": "voice",
        "name": name,
        "version": version,
        "licence": licence,
        "input": {"kind": "samples", "name": INPUT, "window": window, "scale": "unit"},
        "output": {"name": OUTPUT, "kind": "logits", "spoof": LABELS.index("spoof"), "labels": list(LABELS)},
    }
