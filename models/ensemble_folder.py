"""From an ensemble to a folder that holds all members (`member-1`, `member-2`, ...) and serves without torch.

Its version is that of the ensemble, so a calibration goes with it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from models.atomic import atomic
from models.calibration import calibration_path
from models.catalog import ModelFiles
from models.conversion import (
    CARDS,
    FolderTaken,
    convert_files,
    copy_cards,
    tell_of_kept_calibration,
    write_speech,
)
from models.converted import DESCRIPTION, GRAPH, SPEECH, WEIGHTS
from models.ensemble_fields import EnsembleManifest, EnsembleMember
from models.ensemble_members import MemberFiles, find_members
from models.face_model import face_source
from models.folders import build_once
from models.info import Task
from models.manifest_file import read_ensemble, read_manifest
from models.manifest_names import MANIFEST
from models.onnx_graph import fitting_graph
from models.onnx_model import refuse_label
from models.options import LoadOptions
from models.voice_model import voice_source


def convert_ensemble(files: ModelFiles, task: Task, options: LoadOptions, out: Path) -> EnsembleManifest:
    """Converts the members that are checkpoints, copies the others, and writes a manifest that names them.

    The manifest comes last, so a folder without one is not complete, and is completed when this is called again.

    Args:
        files: of the ensemble.
        task: voices or faces.
        options: as for `models.conversion.convert_model`.
        out: the folder to write.

    Raises:
        FolderTaken: there is something else.
        OSError: the folder cannot be written.
        ModelError: the manifest is wrong, or a member cannot be served, or not be converted.
    """
    manifest = read_ensemble(files.path)
    members = find_members(files.path, manifest, task, options)
    stated = [EnsembleMember(model=_name(place), name=each.stated.name) for place, each in enumerate(members)]
    fusion = manifest.ensemble.model_copy(update={"members": tuple(stated)})
    copied = manifest.model_copy(update={"ensemble": fusion})
    text = copied.model_dump_json(indent=2, exclude_none=True) + "\n"
    target = out / MANIFEST
    if out.exists() and (not out.is_dir() or _taken(out, text, len(members))):
        raise FolderTaken(f"{out} holds something else; name a folder that does not exist")
    for place, member in enumerate(members):
        with member.named():
            _write_member(member, task, out / _name(place))
    if target.is_file():
        tell_of_kept_calibration(files.path, out)
        return copied
    if task == "voice":
        build_once(out / SPEECH, lambda fresh: write_speech(options, fresh))
    if (calibration := calibration_path(files.path)).is_file():
        shutil.copyfile(calibration, calibration_path(out))
    copy_cards(files.path, out)
    with atomic(target) as fresh:
        fresh.write_text(text, encoding="utf-8")
    return copied


def _name(place: int) -> str:
    return f"member-{place + 1}"


def _taken(out: Path, text: str, members: int) -> bool:
    """Whether a folder holds anything but this ensemble, or the beginning of it."""
    if (out / MANIFEST).is_file():
        return (out / MANIFEST).read_text(encoding="utf-8") != text
    names = {SPEECH, *map(_name, range(members))}
    if (out / _name(members - 1)).is_dir():  # what comes after the members
        names |= {calibration_path(out).name, *CARDS}
    return any(each.name not in names and not each.name.startswith(".") for each in out.iterdir())


def _write_member(member: MemberFiles, task: Task, folder: Path) -> None:
    source = member.files.path
    if member.files.is_onnx:
        refuse_label(member.files, member.options, setting="spoof_label")
        graph = fitting_graph(source, read_manifest(source))
        _copy(source, [source / MANIFEST, *graph.files], folder)
    elif member.files.is_converted:
        # The copy is named without a spoof_label, which may only confirm what the graph was made for.
        voice_source(member.files, member.options) if task == "voice" else face_source(member.files, member.options)
        _copy(source, [source / name for name in (DESCRIPTION, GRAPH, WEIGHTS)], folder)
    else:
        convert_files(member.files, task, member.options, folder)


def _copy(source: Path, files: Sequence[Path], folder: Path) -> None:
    """Copies what a member needs, unless a copy is there."""

    def build(fresh: Path) -> None:
        for file in files:
            place = fresh / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        if (calibration := calibration_path(source)).is_file():
            shutil.copyfile(calibration, calibration_path(fresh))
        copy_cards(source, fresh)

    build_once(folder, build)
    for file in files:
        place = folder / file.relative_to(source)
        if not place.is_file() or place.read_bytes() != file.read_bytes():
            raise FolderTaken(f"{folder} holds another model; name a folder that does not exist")
    tell_of_kept_calibration(source, folder)
