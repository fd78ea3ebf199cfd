"""From a model reference to files: bundled, a folder, a `.pth`, a hub id, or a tag of BentoML's model store.

A folder holds a checkpoint in transformers format, an adapter for one (`models.adapters`), a converted model
(`models.converted`), or a manifest (`models.manifest_file`) with an ONNX model, or with references of the members of an
ensemble.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from models.adapters import CONFIG as ADAPTER
from models.adapters import MERGE, is_adapter, read_adapter
from models.converted import is_converted, read_converted
from models.errors import ModelUnavailable, UnsupportedModel
from models.hub import saved_model
from models.info import Task
from models.manifest_file import lists_members
from models.manifest_names import MANIFEST, WRITE_MANIFEST

BUNDLED = Path(__file__).parent / "bundled"
_HUB_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?")
_FORMS = "a reference is `bundled`, a folder, a .pth file, a hub id (`org/name`, `org/name@revision`) or `bento:<tag>`"

_OTHER_FILES = (
    "Ways: convert the weights of a research detector (`python -m models.convert FILE --as KIND`), or export the model "
    "to ONNX with the program that it was trained with (docs/models.md)"
)


@dataclass(frozen=True)
class ModelFiles:
    """Location of a model.

    Attributes:
        reference: as requested.
        name: for display.
        path: a folder in transformers format, of a converted or of an ONNX model, or a `.pth` file.
        demo: whether it is one of the small bundled models.
        base: of an adapter's folder, the folder of the checkpoint that it changes.
    """

    reference: str
    name: str
    path: Path
    demo: bool = False
    base: Path | None = None

    @property
    def is_pth(self) -> bool:
        """Whether it is a single `.pth` file."""
        return self.path.is_file()

    @property
    def is_converted(self) -> bool:
        """Whether it is the folder of a converted model."""
        return is_converted(self.path)

    @property
    def is_onnx(self) -> bool:
        """Whether it is a folder with an ONNX model and its manifest."""
        return not self.is_converted and (self.path / MANIFEST).is_file() and not self.is_ensemble

    @property
    def is_ensemble(self) -> bool:
        """Whether it is a folder whose manifest lists other models."""
        return not self.is_converted and (self.path / MANIFEST).is_file() and lists_members(self.path)

    def require_single(self) -> None:
        """Refuses an ensemble where one of its members is wanted.

        Raises:
            UnsupportedModel: it is one.
        """
        if self.is_ensemble:
            raise UnsupportedModel(
                f"{self.reference!r} is an ensemble, and a single model is needed: give one of its members"
            )


def find_model(reference: str, task: Task, models_dir: Path, *, offline: bool = False) -> ModelFiles:
    """Finds, and if need be downloads, the files that a reference names.

    A name that is a local folder or file is never searched on the hub.

    Args:
        reference: see the module's docstring.
        task: which of the bundled models `bundled` means.
        models_dir: where models of the hub are kept.
        offline: never access the hub.

    Raises:
        ModelUnavailable: there is nothing under that name; the message names the remedies.
        UnsupportedModel: it is neither a folder that can be served nor a `.pth` file.
        CheckpointMismatch: it is an adapter, and cannot be read.
    """
    files = _find(reference.strip(), task, models_dir, offline=offline)
    return _with_base(files, task, models_dir, offline=offline)


def _with_base(files: ModelFiles, task: Task, models_dir: Path, *, offline: bool) -> ModelFiles:
    """The same, and of an adapter the folder of its base."""
    if files.is_converted or not is_adapter(files.path):
        return files
    reference = files.reference
    adapter = read_adapter(files.path)
    try:
        base = _find(adapter.base, task, models_dir, offline=offline)
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"{reference!r} is an adapter for {adapter.base!r}, and that is not found: {error}. Or write a folder "
            f"in its place into {ADAPTER}"
        ) from error
    if base.is_pth or base.is_converted or base.is_onnx or base.is_ensemble or is_adapter(base.path):
        raise UnsupportedModel(
            f"{reference!r} is an adapter for {adapter.base!r}, which is no checkpoint in transformers format; {MERGE}"
        )
    return replace(files, base=base.path)


def _find(reference: str, task: Task, models_dir: Path, *, offline: bool) -> ModelFiles:
    """Finds the files themselves; an adapter's base is not looked for."""
    if reference == "bundled":
        folder = BUNDLED / task
        if not (is_converted(folder) or (folder / "config.json").is_file()):
            raise ModelUnavailable(f"this installation carries no bundled {task} model; {_FORMS}")
        return ModelFiles(reference, f"bonafide-{task}-demo", folder, demo=True)
    if reference.startswith("bento:"):
        return _from_bento(reference)
    path = Path(os.path.expanduser(reference))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    if reference and (path.is_dir() or path.is_file()):
        return _from_path(reference, path.resolve())
    return _from_hub(reference, path, models_dir, offline=offline)


def find_member(reference: str, folder: Path, task: Task, models_dir: Path, *, offline: bool = False) -> ModelFiles:
    """As `find_model`, but what is no other reference is a path relative to a folder, never to the working directory.

    Args:
        reference: of a member, as the manifest of an ensemble has it.
        folder: of that manifest.
        task: which of the bundled models `bundled` means.
        models_dir: where models of the hub are kept.
        offline: never access the hub.

    Raises:
        ModelError: see `find_model`.
    """
    reference = reference.strip()
    if reference == "bundled" or reference.startswith("bento:"):
        return find_model(reference, task, models_dir, offline=offline)
    path = folder / os.path.expanduser(reference)  # noqa: PTH111  # as in find_model
    if reference and (path.is_dir() or path.is_file()):
        files = _from_path(reference, path.resolve())
    else:
        files = _from_hub(reference, path, models_dir, offline=offline)
    return _with_base(files, task, models_dir, offline=offline)


def _from_hub(reference: str, path: Path, models_dir: Path, *, offline: bool) -> ModelFiles:
    """A model of the hub; `path` is what the reference would be as a path, where nothing is."""
    if path.suffix == ".pth":
        raise ModelUnavailable(f"there is no file {reference!r}: correct the path")
    if match := _HUB_ID.fullmatch(reference):
        repository, revision = match["repository"], match["revision"] or "main"
        return ModelFiles(reference, repository, saved_model(repository, revision, models_dir, offline=offline))
    raise ModelUnavailable(f"there is no folder or file {reference!r}, and it is no hub id; {_FORMS}")


def _from_path(reference: str, path: Path) -> ModelFiles:
    if is_converted(path):
        return _converted(reference, path)
    if path.is_dir():
        return ModelFiles(reference, path.name, _checkpoint_in(path, reference))
    if path.suffix == ".onnx":
        raise UnsupportedModel(
            f"{reference!r} is an ONNX file, which does not say what its scores mean: {WRITE_MANIFEST}, "
            "and the folder of both is the reference"
        )
    if path.suffix != ".pth":
        raise UnsupportedModel(f"{reference!r} is a file but no .pth; {_FORMS}. {_OTHER_FILES}")
    return ModelFiles(reference, path.stem, path)


def _from_bento(reference: str) -> ModelFiles:
    import bentoml
    from bentoml.exceptions import BentoMLException

    tag = reference.removeprefix("bento:")
    try:
        model = bentoml.models.get(tag)
    except (BentoMLException, ValueError) as error:
        raise ModelUnavailable(
            f"BentoML's model store has no {tag!r} ({error}); give one of those that `bentoml models list` shows"
        ) from error
    if is_converted(Path(model.path)):
        return _converted(reference, Path(model.path))
    return ModelFiles(reference, str(model.tag), _checkpoint_in(Path(model.path), reference))


def _converted(reference: str, folder: Path) -> ModelFiles:
    """It goes by the name of its checkpoint, whose scores it gives."""
    found = read_converted(folder)
    return ModelFiles(reference, found.name, folder, demo=found.demo)


def _checkpoint_in(folder: Path, reference: str) -> Path:
    """The folder itself when it is in transformers format, an adapter or has a manifest, or the only `.pth` in it."""
    if is_adapter(folder):
        if any(any(folder.glob(name)) for name in ("model*.safetensors", "pytorch_model*.bin", MANIFEST)):
            raise UnsupportedModel(
                f"{reference!r} holds {ADAPTER} and a model too, and only one of both can be meant: remove the other "
                "(a model that the adapter is merged into already needs none)"
            )
        return folder
    if (folder / MANIFEST).is_file() or (folder / "config.json").is_file():
        return folder
    if any(folder.glob("*.onnx")):
        raise UnsupportedModel(f"{reference!r} holds an ONNX file and no {MANIFEST}: {WRITE_MANIFEST}")
    found = sorted(folder.glob("*.pth"))
    if len(found) == 1:
        return found[0]
    holds = f"{len(found)} .pth files" if found else "no .pth file"
    raise UnsupportedModel(
        f"{reference!r} holds no config.json and {holds}, so it is no checkpoint that can be served. {_OTHER_FILES}"
    )
