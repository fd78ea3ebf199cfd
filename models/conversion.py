"""From a model reference to a folder that serves without torch: `models.converted` says what is in it."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from models.calibration import calibration_path, read_calibration
from models.catalog import ModelFiles, find_model
from models.converted import GRAPH, SPEECH, WEIGHTS, Converted, hashes, is_converted, open_converted, write_converted
from models.engine import EngineModel
from models.errors import ModelError, UnsupportedModel
from models.face_model import FaceSource, face_engine_model, face_source
from models.folders import build_once
from models.info import Task
from models.openvino_engine import convert, kept_folder, readable, toolchain
from models.options import LoadOptions
from models.speech import FOLDER as SPEECH_FOLDER
from models.speech import speech_engine_model
from models.voice_model import VoiceSource, voice_engine_model, voice_source

logger = logging.getLogger(__name__)

CARDS = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")
"""What says where the model is from, and what may be done with it."""


class FolderTaken(ModelError):
    """Something else lies where the converted model is to be written."""


def convert_model(reference: str, task: Task, options: LoadOptions, out: Path) -> Converted:
    """Converts a model and writes it to a folder, which is either complete or absent.

    A folder that holds this very model, converted by this release, is kept.

    Args:
        reference: `bundled`, a folder, a `.pth` file (voice), a hub id, or `bento:<tag>`.
        task: voices or faces.
        options: folders, whether the hub may be accessed, and the spoof class if the names do not decide it.
        out: the folder to write.

    Raises:
        FolderTaken: there is something else.
        OSError: the folder cannot be written.
        ModelError: the model cannot be served, or not be converted.
    """
    return convert_files(find_model(reference, task, options.models_dir, offline=options.offline), task, options, out)


def convert_files(files: ModelFiles, task: Task, options: LoadOptions, out: Path) -> Converted:
    """As `convert_model`, of files that were found.

    Raises:
        FolderTaken: there is something else.
        OSError: the folder cannot be written.
        ModelError: the model cannot be served, or not be converted; an ensemble is no single model.
    """
    reference = files.reference
    if files.is_ensemble:
        raise UnsupportedModel(
            f"{reference!r} is an ensemble, and a single model is converted here: give one of its members"
        )
    if files.is_converted:
        raise UnsupportedModel(f"{reference!r} is converted already: copy its folder {files.path} as it is")
    if files.is_onnx:
        raise UnsupportedModel(f"{reference!r} is an ONNX model, which starts without torch: serve it as it is")
    description, model = _described(files, task, options)
    read_calibration(files.path, description.version)  # refuses one that the service would refuse

    def build(fresh: Path) -> None:
        _write(description, model, options, fresh)
        if (calibration := calibration_path(files.path)).is_file():
            shutil.copyfile(calibration, calibration_path(fresh))
        if files.path.is_dir():
            copy_cards(files.path, fresh)
        if task == "voice":
            write_speech(options, fresh / SPEECH)

    built = _built(description, build, out)
    tell_of_kept_calibration(files.path, out)
    return built


def tell_of_kept_calibration(model: Path, folder: Path) -> None:
    """Warns where a folder that was there already does not have the calibration that lies beside a model now."""
    beside, kept = (calibration_path(each) for each in (model, folder))
    if beside.is_file() and not (kept.is_file() and kept.read_bytes() == beside.read_bytes()):
        logger.warning(
            "%s is kept with %s, which is not that beside the model: copy %s there if that is meant",
            folder,
            "its own calibration" if kept.is_file() else "no calibration",
            beside,
        )


def convert_speech(options: LoadOptions, out: Path) -> Converted:
    """Converts the speech detector of this installation, which lies beside each converted voice model.

    Args:
        options: folders.
        out: the folder to write.

    Raises:
        FolderTaken: there is something else.
        OSError: the folder cannot be written.
        ModelError: it cannot be converted.
    """
    return _built(_speech_description(), lambda fresh: write_speech(options, fresh), out)


def _speech_description() -> Converted:
    model = speech_engine_model()
    return Converted("speech", model.name, model.version, toolchain(model), {})


def write_speech(options: LoadOptions, folder: Path) -> None:
    """Writes the speech detector of this installation, converted, to a folder."""
    folder.mkdir(exist_ok=True)
    _write(_speech_description(), speech_engine_model(), options, folder)
    copy_cards(SPEECH_FOLDER, folder)


def _described(files: ModelFiles, task: Task, options: LoadOptions) -> tuple[Converted, EngineModel]:
    """The description, still without its files, and what is converted."""
    source: VoiceSource | FaceSource
    if task == "voice":
        source = voice = voice_source(files, options)
        model, voice_input, geometry = voice_engine_model(files, voice), voice.input, None
    else:
        source = face = face_source(files, options)
        model, voice_input, geometry = face_engine_model(files, face), None, face.geometry
    description = Converted(
        task=task,
        name=files.name,
        version=source.version,
        toolchain=toolchain(model),
        files={},
        demo=files.demo,
        architecture=source.architecture,
        labels=source.labels,
        rule=source.rule,
        parameters=source.parameters(),
        voice=voice_input,
        geometry=geometry,
    )
    return description, model


def _write(description: Converted, model: EngineModel, options: LoadOptions, folder: Path) -> None:
    """Writes the graph, as it was converted before if it was, and its description."""
    kept = model.converted or kept_folder(model, options)
    if kept.is_dir() and readable(kept) is not None:
        for name in (GRAPH, WEIGHTS):
            shutil.copyfile(kept / name, folder / name)
    else:
        convert(model, folder)
    write_converted(folder, replace(description, files=hashes(folder)))


def copy_cards(checkpoint: Path, folder: Path) -> None:
    """Copies what says where a model is from, and what may be done with it."""
    for name in CARDS:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)


def _built(description: Converted, build: Callable[[Path], None], out: Path) -> Converted:
    """The folder's description, after `build` has filled it if it did not exist or was empty."""
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    elif out.exists() and not out.is_dir():
        raise FolderTaken(f"{out} is a file; name a folder that does not exist")
    build_once(out, build)
    if not is_converted(out):
        raise FolderTaken(f"{out} holds something else; name a folder that does not exist")
    found = open_converted(out, description.task)
    if replace(found, files={}) != description:
        raise FolderTaken(
            f"{out} holds {found.name} {found.version}, of another checkpoint, another spoof label or another "
            "release; remove it, or name a folder that does not exist"
        )
    return found
