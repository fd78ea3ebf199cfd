"""Reads `bonafide.json`: bytes of an untrusted folder in, a manifest out, or a sentence that names the field."""

import json
from pathlib import Path

from pydantic import ValidationError

from models.ensemble_fields import EnsembleManifest
from models.errors import BadManifest
from models.json_files import named_once
from models.manifest_fields import Manifest
from models.manifest_names import ENSEMBLE, MANIFEST, UNKNOWN, WRITE_MANIFEST

_MAX_BYTES = 1 << 20
_LONGEST_NAME = 100
_KINDS = frozenset({"samples", "rgb", "bgr"})
"""By these pydantic names the member of `input` that it tried."""
_NEVER_GUESSED = "it is missing, and which index or sign means spoof is never guessed: ask the model's authors"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder with an ONNX model.

    Raises:
        BadManifest: it is missing, broken, that of an ensemble, or a field is.
    """
    path = folder / MANIFEST
    manifest = parse_manifest(_content(path), str(path))
    if isinstance(manifest, EnsembleManifest):
        raise BadManifest(f"{path} lists the members of an ensemble, and a single model is needed: give one of them")
    return manifest


def read_ensemble(folder: Path) -> EnsembleManifest:
    """The manifest of a folder of an ensemble.

    Raises:
        BadManifest: it is missing, broken, that of a single model, or a field is.
    """
    path = folder / MANIFEST
    manifest = parse_manifest(_content(path), str(path))
    if isinstance(manifest, Manifest):
        raise BadManifest(f"{path} describes a single model, and an ensemble is needed: give one")
    return manifest


def lists_members(folder: Path) -> bool:
    """Whether a folder's manifest is that of an ensemble; False for one that cannot be read."""
    try:
        found = json.loads(_content(folder / MANIFEST))
    except (BadManifest, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and ENSEMBLE in found


def parse_manifest(content: bytes, name: str = MANIFEST) -> Manifest | EnsembleManifest:
    """The manifest in these bytes.

    Args:
        content: JSON in UTF-8.
        name: for messages.

    Raises:
        BadManifest: broken, or a field is.
    """
    if len(content) > _MAX_BYTES:
        raise BadManifest(f"{name} has more than {_MAX_BYTES} bytes; {WRITE_MANIFEST}")
    try:
        found = json.loads(content, object_pairs_hook=named_once)
    except (ValueError, RecursionError) as error:
        raise BadManifest(f"{name} is no JSON that can be read: {error}; correct it, or {WRITE_MANIFEST}") from error
    is_ensemble = isinstance(found, dict) and ENSEMBLE in found
    if is_ensemble and "licence" in found:
        raise BadManifest(f"{name}: licence: an ensemble has none of its own, those of all its members hold; remove it")
    try:
        return (EnsembleManifest if is_ensemble else Manifest).model_validate_json(content)
    except ValidationError as error:
        raise BadManifest(f"{name}: {_in_words(error)}; docs/models.md says what each field can be") from error


def _content(path: Path) -> bytes:
    """At most one byte more than is accepted."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadManifest(f"{path} cannot be read ({error.strerror or error}); {WRITE_MANIFEST}") from error


def _in_words(error: ValidationError) -> str:
    """The first thing that is wrong, after the field's name."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = [str(part)[:_LONGEST_NAME] for part in first["loc"]]
    if len(place) > 1 and place[0] == "input" and place[1] in _KINDS:
        del place[1]
    if place[:2] == ["output", "spoof"]:
        place = place[:2]
    field = ".".join(place) or "the manifest"
    if first["input"] == UNKNOWN:
        return f"{field}: it is still {UNKNOWN!r}, as drafted: fill it in"
    if first["type"] == "missing":
        return f"{field}: {_NEVER_GUESSED if field == 'output.spoof' else 'it is missing'}"
    if first["type"] == "extra_forbidden":
        return f"{field}: there is no such field"
    said = first["msg"].removeprefix("Value error, ")
    return f"{field}: {said[:1].lower()}{said[1:]}"
