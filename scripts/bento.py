"""Builds the Bento into BentoML's store, around the bundled models or around others, and prints its tag.

Usage: python -m scripts.bento [--voice REFERENCE] [--face REFERENCE]
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import bentoml
import yaml

from scripts.local_service import ROOT
from scripts.serve import bentoml_home

TASKS = ("voice", "face")
_EPILOG = """\
REFERENCE is one of
  a folder or a .pth file   copied into BentoML's model store; travels with the Bento and its image
  bento:NAME:VERSION        of BentoML's model store; travels likewise
  org/name                  a hub id: only named, and fetched where the Bento is deployed
"""


def build(models: dict[str, str]) -> bentoml.Bento:
    """Builds the Bento of this checkout.

    Args:
        models: references by task; a task that is missing keeps the bundled model.
    """
    references = {task: stored(task, reference) for task, reference in models.items()}
    description = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    description["models"] = [
        reference.removeprefix("bento:") for reference in references.values() if reference.startswith("bento:")
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as bentofile:
        yaml.safe_dump(description, bentofile)
        bentofile.flush()
        bento = bentoml.bentos.build_bentofile(bentofile.name, build_ctx=str(ROOT))
    if references:
        settings = {f"{task}_model": reference for task, reference in references.items()}
        Path(bento.path_of("src/bonafide.yaml")).write_text(yaml.safe_dump(settings), encoding="utf-8")
    return bento


def stored(task: str, reference: str) -> str:
    """Puts a folder or file into BentoML's model store under a hash of its content; returns its reference there."""
    path = Path(reference)
    if not path.exists():
        return reference
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for each in files:
        digest.update(each.name.encode() + hashlib.sha256(each.read_bytes()).digest())
    tag = f"bonafide-{task}:{digest.hexdigest()[:16]}"
    if not any(str(model.tag) == tag for model in bentoml.models.list()):
        with bentoml.models.create(tag, metadata={"from": path.name}) as model:
            for each in files:
                target = Path(model.path) / (each.relative_to(path) if path.is_dir() else each.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(each, target)
    return f"bento:{tag}"


def main() -> None:
    """Builds and prints the tag."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for task in TASKS:
        parser.add_argument(f"--{task}", metavar="REFERENCE", help=f"{task} model; left out: the bundled demonstration")
    arguments: dict[str, Any] = vars(parser.parse_args())
    bentoml_home()
    bento = build({task: reference for task, reference in arguments.items() if reference})
    sys.stdout.write(f"{bento.tag}\n")


if __name__ == "__main__":
    main()
