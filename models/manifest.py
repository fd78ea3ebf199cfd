"""Manifests of ONNX models and of ensembles: `python -m models.manifest FOLDER` checks one.

`--init model.onnx` writes a first one of an ONNX model.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from models.configured import WrongSettings, load_options, settings_for
from models.ensemble_fields import EnsembleManifest
from models.ensemble_members import find_members
from models.errors import ModelError
from models.manifest_draft import draft
from models.manifest_fields import Manifest
from models.manifest_file import lists_members, read_ensemble, read_manifest
from models.manifest_names import MANIFEST, ONNX, UNKNOWN
from models.onnx_graph import fitting_graph
from models.onnx_model import spoof_in_words

_EPILOG = """\
Exit status: 0 it is in order, 1 it is not, 2 the command was wrong.

examples:
  python -m models.manifest --init my-model/model.onnx
  python -m models.manifest my-model/
"""


def json_schema() -> str:
    """The JSON Schema of `bonafide.json`, as text."""
    either: TypeAdapter[Any] = TypeAdapter(Manifest | EnsembleManifest)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **either.json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def init(path: Path) -> None:
    """Writes a first manifest beside an ONNX file, and prints what is open in it.

    Raises:
        ModelError: the file cannot be served.
        FileExistsError: there is one.
    """
    manifest, open_points = draft(path)
    target = path.with_name(MANIFEST)
    with target.open("x", encoding="utf-8") as stream:
        stream.write(json.dumps(manifest, indent=2) + "\n")
    _say(f"{target} is written. It is refused until each {UNKNOWN!r} in it has been replaced:")
    for point in open_points:
        _say(f"- {point}")
    if path.name != ONNX:
        _say(f"- the file is served under the name {ONNX}: rename {path.name}")


def check(folder: Path) -> None:
    """Compares a manifest with its graph, or finds the members of an ensemble, and prints what is understood.

    Raises:
        ModelError: something is wrong.
    """
    if lists_members(folder):
        _check_ensemble(folder)
        return
    manifest = read_manifest(folder)
    graph = fitting_graph(folder, manifest)
    _say(f"{manifest.name}@{manifest.version}, a {manifest.task} model under {manifest.licence}, is in order.")
    _say(f"Spoof is {spoof_in_words(manifest)} ({manifest.output.kind}).")
    _say(f"{graph.parameters / 1e6:.2f} million parameters; `python -m lab.inspect {folder}` computes with it.")


def _check_ensemble(folder: Path) -> None:
    manifest = read_ensemble(folder)
    members = find_members(folder, manifest, manifest.task, load_options(manifest.task, settings_for(manifest.task)))
    for member in members:
        with member.named():
            if member.files.is_onnx:
                fitting_graph(member.files.path, read_manifest(member.files.path))
    fusion = manifest.ensemble
    _say(f"{manifest.name}@{manifest.version}, a {manifest.task} ensemble of {len(members)} models, is in order.")
    for member, weight in zip(members, fusion.weights, strict=True):
        _say(f"- {member.stated.name or member.files.name}, weight {weight:g}: {member.files.path}")
    intercept = "" if fusion.intercept is None else f", intercept {fusion.intercept:g}"
    _say(f"Its rule is {fusion.rule}{intercept}; `python -m lab.inspect {folder}` loads the members and computes.")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.manifest",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help=f"with {MANIFEST}, and {ONNX} or members")
    what.add_argument("--init", type=Path, metavar="FILE", help=f"writes a first {MANIFEST} beside this ONNX file")
    what.add_argument("--schema", action="store_true", help="prints the JSON Schema")
    arguments = parser.parse_args(argv)
    try:
        if arguments.schema:
            sys.stdout.write(json_schema())
        elif arguments.init is not None:
            init(arguments.init)
        else:
            check(arguments.folder)
    except (ModelError, WrongSettings, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
