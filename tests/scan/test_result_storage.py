"""Folders that hold results."""

import errno
from pathlib import Path

import pytest

from scan.result_storage import FolderStorage
from scan.source import WrongUse
from tests.folder_sync import Folders


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("folder", "message"), [("file", "File exists"), ("n" * 300, "File name too long")])
def test_a_folder_that_cannot_be_one_is_not_waited_for(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"-")
    with pytest.raises(WrongUse, match=f"writing manifest.json: .*{message}"):
        FolderStorage(tmp_path / folder, 600.0).write("manifest.json", b"{}")


def test_a_file_system_that_syncs_no_folders_has_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", Folders(errno.EINVAL))
    storage = FolderStorage(tmp_path, 0.0)
    storage.write("manifest.json", b"{}")
    assert storage.read("manifest.json") == b"{}"
