"""The members of an ensemble as files: what its manifest refers to, found and checked before any of it is loaded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from models.catalog import ModelFiles, find_member
from models.ensemble_fields import EnsembleManifest, EnsembleMember
from models.errors import BadManifest, ModelError
from models.info import Task
from models.manifest_names import MANIFEST
from models.options import LoadOptions


@dataclass(frozen=True)
class MemberFiles:
    """One member.

    Attributes:
        files: its location.
        stated: what the manifest says of it.
        options: how it is loaded: with its own calibration, and its own class that means spoof.
        folder: of the manifest.
    """

    files: ModelFiles
    stated: EnsembleMember
    options: LoadOptions
    folder: Path

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors within name the member."""
        with _named(self.folder, self.stated):
            yield


def find_members(folder: Path, manifest: EnsembleManifest, task: Task, options: LoadOptions) -> Sequence[MemberFiles]:
    """Finds, and if need be downloads, the members.

    Args:
        folder: of the manifest.
        manifest: what it says.
        task: that the ensemble is asked for.
        options: as the ensemble is loaded.

    Raises:
        BadManifest: a member is the ensemble itself, another ensemble, or stands there twice.
        ModelError: there is no such model.
    """
    found: list[MemberFiles] = []
    for stated in manifest.ensemble.members:
        with _named(folder, stated):
            files = find_member(stated.model, folder, task, options.models_dir, offline=options.offline)
            if files.is_ensemble:
                if files.path.samefile(folder):
                    raise BadManifest("it is this ensemble itself: remove it")
                raise BadManifest("it is an ensemble, too: write its members here instead")
            if any(files.path.samefile(each.files.path) for each in found):
                raise BadManifest("it is a member already: give that one more weight instead")
        own = replace(options, calibrated=True, spoof_label=stated.spoof_label)
        found.append(MemberFiles(files, stated, own, folder))
    return found


@contextmanager
def _named(folder: Path, member: EnsembleMember) -> Iterator[None]:
    """Errors within begin with the manifest and the member's reference."""
    try:
        yield
    except ModelError as error:
        raise type(error)(f"{folder / MANIFEST}: member {member.model!r}: {error}") from error
