"""Converts a model once, so that it is served without torch and transformers: on CPUs, by OpenVINO.

The folder that is written is a model reference like any other (BONAFIDE_VOICE_MODEL, BONAFIDE_FACE_MODEL) and gives the
same scores as the checkpoint on the same engine. It holds the graph in fp32; a CPU with bf16 computes it in bf16, as
BONAFIDE_PRECISION says. Converting needs torch: a checkout after `make setup`, or the cuda image.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from models.catalog import find_model
from models.configured import WrongSettings, load_options, settings_for
from models.conversion import convert_files
from models.converted import Converted
from models.ensemble_fields import EnsembleManifest
from models.ensemble_folder import convert_ensemble
from models.errors import ModelError, NotConverted, UnsupportedModel
from models.info import Task
from models.labels import spoof_in_words
from models.tasks import guess_task

_EPILOG = """\
A FOLDER that holds this model already, converted by this release, is kept as it is, its calibration too, and a warning
tells where another lies beside the model now; that of a research detector must not be there yet. The settings of the
service apply (BONAFIDE_MODELS_DIR, BONAFIDE_OFFLINE, BONAFIDE_VOICE_SPOOF_LABEL, ...).

Exit status: 0 the folder holds the model, 1 it cannot be converted, 2 the command was wrong.

examples:
  python -m models.convert checkpoints/wavlm --out wavlm-converted
  python -m models.convert detector.pth --out detector-converted
  python -m models.convert org/name@revision --task face --out /var/lib/bonafide/face
  python -m models.convert AASIST.pth --licence MIT --out aasist
  python -m models.convert best_SSL_model_LA.pth --as xlsr-aasist --licence unknown --out ssl-anti-spoofing
"""
_WRONG_USE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.convert",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "reference",
        metavar="REF",
        help="a folder in transformers format or of an ensemble, a .pth file, a hub id (org/name[@revision]), "
        "bento:TAG, or bundled",
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="the folder to write")
    parser.add_argument("--task", choices=("voice", "face"), help="default: as the model's files say")
    parser.add_argument("--spoof-label", metavar="NAME", help="class that means spoof, if its name does not decide it")
    parser.add_argument(
        "--as",
        dest="kind",
        metavar="KIND",
        help="of a .pth file: the research detector it holds (docs/models.md lists them); default: as its keys say",
    )
    parser.add_argument("--licence", help="of a research detector's weights; an SPDX name where there is one")
    parser.add_argument("--offline", action="store_true", default=None, help="never access the hub")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    given = {"spoof_label": arguments.spoof_label, "offline": arguments.offline}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        if (told := _research(arguments)) is not None:
            sys.stdout.write(f"{arguments.out}: {told}\n")
            return 0
        task = arguments.task or guess_task(arguments.reference, load_options("voice", settings_for("voice", **given)))
        if task is None:
            parser.error(f"cannot tell whether {arguments.reference!r} is for voices or faces; say so with --task")
        options = load_options(task, settings_for(task, **given))
        files = find_model(arguments.reference, task, options.models_dir, offline=options.offline)
        if files.is_ensemble:
            manifest = convert_ensemble(files, task, options, arguments.out)
            sys.stdout.write(f"{arguments.out}: {_told_of_members(manifest, arguments.out)}\n")
            return 0
        converted = convert_files(files, task, options, arguments.out)
    except WrongSettings as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{arguments.out} cannot be written: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.out}: {_told(converted, task, arguments.out)}\n")
    return 0


def _research(arguments: argparse.Namespace) -> str | None:
    """What was written of a research detector's file; None: the reference is none."""
    path = Path(arguments.reference)
    if arguments.kind is None and not (path.suffix == ".pth" and path.is_file()):
        return None
    try:
        from models.heads.convert import kind_of, read_research, write_folder
    except ModuleNotFoundError as error:
        raise NotConverted(
            f"a .pth file is converted with torch, which is not installed here ({error}): use a checkout or "
            "the cuda image"
        ) from error
    kind = arguments.kind or kind_of(path)
    if kind is None:
        return None
    if arguments.spoof_label is not None or arguments.task == "face":
        raise UnsupportedModel(
            f"{path.name} is a research detector of voices ({kind}), class 0 means spoof: leave out --spoof-label "
            "and --task, or export it to ONNX with a manifest that says otherwise (docs/models.md)"
        )
    if not arguments.licence:
        raise UnsupportedModel(f"{path.name} is a research detector ({kind}): state its weights' licence by --licence")
    research = read_research(path, kind, licence=arguments.licence)
    write_folder(research, arguments.out)
    words = research.manifest
    return (
        f"{research.kind.title}, {words['name']} {words['version']}, output {words['output']['spoof']} means spoof; "
        f"serve it with BONAFIDE_VOICE_MODEL={arguments.out.resolve()}"
    )


def _told_of_members(manifest: EnsembleManifest, out: Path) -> str:
    count = len(manifest.ensemble.members)
    setting = f"BONAFIDE_{manifest.task.upper()}_MODEL"
    return f"{manifest.name} {manifest.version}, {count} members; serve it with {setting}={out.resolve()}"


def _told(converted: Converted, task: Task, out: Path) -> str:
    spoof = spoof_in_words(converted.labels, converted.rule)
    return f"{converted.name}, spoof is {spoof}; serve it with BONAFIDE_{task.upper()}_MODEL={out.resolve()}"


if __name__ == "__main__":
    sys.exit(main())
