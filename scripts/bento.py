"""Builds the Bento into BentoML's store, around the bundled models or around others, and prints its tag.

Usage: python -m scripts.bento [--variant cpu|cuda|scan|scan-cuda] [--voice REFERENCE] [--face REFERENCE]
"""

import argparse
import hashlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import bentoml
import yaml

from models.calibration import calibration_path
from models.catalog import find_model
from models.configured import WrongSettings, load_options, settings_for
from models.conversion import convert_model, convert_speech
from models.ensemble_folder import convert_ensemble
from models.errors import ModelError, UnsupportedModel
from models.info import Task
from models.manifest_file import lists_members, read_ensemble
from models.speech import FOLDER as SPEECH_FOLDER
from scripts.local_service import ROOT
from scripts.serve import bentoml_home

Variant = Literal["cpu", "cuda", "scan", "scan-cuda"]
_CONVERTED: tuple[Variant, ...] = ("cpu", "scan")
"""Variants without torch."""
_SCANS: tuple[Variant, ...] = ("scan", "scan-cuda")
"""Variants that scan archives."""
_EPILOG = """\
VARIANT
  cpu        (default) every model is converted now, so that it is served without torch
  cuda       checkpoints, for CUDA devices and for `python -m models.convert`
  scan       cpu, and what scans archives on a cluster of Ray
  scan-cuda  cuda, and the same

REFERENCE is one of
  a folder or a .pth file   copied into BentoML's model store; travels with the Bento and its image, and so does a
                            calibration beside the file
  bento:NAME:VERSION        of BentoML's model store; travels likewise
  org/name                  a hub id. cpu, scan: fetched and converted now, travels likewise; cuda, scan-cuda: only
                            named, and fetched where the Bento is deployed
"""


def build(models: Mapping[Task, str], variant: Variant) -> bentoml.Bento:
    """Builds the Bento of this checkout.

    Args:
        models: references by task; a task that is missing keeps the bundled model.
        variant: what it holds.

    Raises:
        ModelError: a model cannot be converted.
    """
    references = {
        task: _stored_converted(task, reference) if variant in _CONVERTED else _stored_whole(task, reference)
        for task, reference in models.items()
    }
    description = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    description["labels"]["variant"] = variant
    description["python"]["requirements_txt"] = f"./deploy/image/requirements-{variant}.lock"
    if variant in _SCANS:
        description["include"].append("scan/**")
    description["models"] = [
        reference.removeprefix("bento:") for reference in references.values() if reference.startswith("bento:")
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as bentofile:
        yaml.safe_dump(description, bentofile)
        bentofile.flush()
        bento = bentoml.bentos.build_bentofile(bentofile.name, build_ctx=str(ROOT))
    source = Path(bento.path_of("src"))
    if variant in _CONVERTED:
        _convert_bundled(source / SPEECH_FOLDER.parent.relative_to(ROOT))
    if references:
        settings = {f"{task}_model": reference for task, reference in references.items()}
        (source / "bonafide.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return bento


def _convert_bundled(bundled: Path) -> None:
    """Puts converted models in the place of the Bento's copy of the bundled checkpoints."""
    shutil.rmtree(bundled)
    for task in get_args(Task):
        convert_model("bundled", task, load_options(task, settings_for(task)), bundled / task)
    convert_speech(load_options("voice", settings_for("voice")), bundled / SPEECH_FOLDER.name)
    for lock in bundled.glob(".*.lock"):
        lock.unlink()


def _stored_converted(task: Task, reference: str) -> str:
    """Converts a model, and puts the converted folder into BentoML's model store; returns its reference there.

    An ONNX model is put there as it is, since it is served without torch.
    """
    options = load_options(task, settings_for(task))
    files = find_model(reference, task, options.models_dir, offline=options.offline)
    if files.is_onnx:
        return stored(task, reference)
    with tempfile.TemporaryDirectory() as folder:
        if files.is_ensemble:
            manifest = convert_ensemble(files, task, options, Path(folder) / task)
            return stored(task, str(Path(folder) / task), name=manifest.name)
        converted = convert_model(reference, task, options, Path(folder) / task)
        return stored(task, str(Path(folder) / task), name=converted.name)


def _stored_whole(task: Task, reference: str) -> str:
    """As `stored`, after a look at an ensemble: what its manifest names travels with it, or can be had anywhere.

    Raises:
        UnsupportedModel: a member lies elsewhere.
    """
    path = Path(reference)
    for member in read_ensemble(path).ensemble.members if lists_members(path) else ():
        place = path / member.model.strip()
        if member.model.startswith("bento:") or (place.exists() and not place.resolve().is_relative_to(path.resolve())):
            raise UnsupportedModel(
                f"{reference}: member {member.model!r} would not travel with a cuda Bento; put it into the ensemble's "
                "folder, or build for cpu"
            )
    return stored(task, reference)


def stored(task: Task, reference: str, name: str | None = None) -> str:
    """Puts a folder or file into BentoML's model store under a hash of all that is in it; returns its reference there.

    Args:
        task: voices or faces.
        reference: of the model; returned as it is unless it is a path.
        name: where it is from, for the store; None: as the path says.
    """
    path = Path(reference)
    if not path.exists():
        return reference
    found = path.rglob("*") if path.is_dir() else (path, calibration_path(path))
    files = sorted(each for each in found if each.is_file())
    names = {each: each.relative_to(path).as_posix() if path.is_dir() else each.name for each in files}
    digest = hashlib.sha256()
    for each, place in names.items():
        digest.update(place.encode() + hashlib.sha256(each.read_bytes()).digest())
    tag = f"bonafide-{task}:{digest.hexdigest()[:16]}"
    if not any(str(model.tag) == tag for model in bentoml.models.list()):
        with bentoml.models.create(tag, metadata={"from": name or path.name}) as model:
            for each, place in names.items():
                target = Path(model.path) / place
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(each, target)
    return f"bento:{tag}"


def main() -> None:
    """Builds and prints the tag."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", choices=get_args(Variant), default="cpu", help="default: cpu")
    for task in get_args(Task):
        parser.add_argument(f"--{task}", metavar="REFERENCE", help=f"{task} model; left out: the bundled demonstration")
    arguments = parser.parse_args()
    references: dict[Task, str] = {
        task: getattr(arguments, task) for task in get_args(Task) if getattr(arguments, task)
    }
    bentoml_home()
    logging.getLogger("models").addHandler(logging.StreamHandler())
    try:
        bento = build(references, arguments.variant)
    except (ModelError, WrongSettings) as error:
        raise SystemExit(f"the Bento cannot be built: {error}") from None
    sys.stdout.write(f"{bento.tag}\n")


if __name__ == "__main__":
    main()
