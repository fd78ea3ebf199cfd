"""Manifests of ONNX models: `python -m models.manifest FOLDER` checks one, `--init model.onnx` writes a first one."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import ModelError
from models.manifest_draft import draft
from models.manifest_fields import Manifest
from models.manifest_file import read_manifest
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
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
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
    """Compares a manifest with its graph, and prints what is understood.

    Raises:
        ModelError: something is wrong.
    """
    manifest = read_manifest(folder)
    graph = fitting_graph(folder, manifest)
    _say(f"{manifest.name}@{manifest.version}, a {manifest.task} model under {manifest.licence}, is in order.")
    _say(f"Spoof is {spoof_in_words(manifest)} ({manifest.output.kind}).")
    _say(f"{graph.parameters / 1e6:.2f} million parameters; `python -m lab.inspect {folder}` computes with it.")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.manifest",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help=f"with {ONNX} and {MANIFEST}")
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
    except (ModelError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
