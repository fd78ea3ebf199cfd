import errno
from pathlib import Path

import pytest

from models.folder_sync import sync_folder
from tests.folder_sync import Folders


def test_a_folder_is_synced_where_that_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(errno.EINVAL, errno.EOPNOTSUPP, errno.EIO)
    monkeypatch.setattr("os.fsync", folders)
    for _ in range(2):
        sync_folder(tmp_path)
    with pytest.raises(OSError, match="the folder"):
        sync_folder(tmp_path)
    sync_folder(tmp_path)
    assert folders.synced == [True]
