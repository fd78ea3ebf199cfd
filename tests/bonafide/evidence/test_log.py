import errno
import hashlib
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bonafide.evidence.log import FIRST, EvidenceLog, Place
from tests.folder_sync import Folders


def numbered(place: Place) -> str:
    return f"{place.chain} {place.number} {place.previous} " + "x" * 200


def lines_of(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_each_line_holds_the_hash_of_the_line_before_it_through_rotations(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "log", max_bytes=1_000, sync=True)
    given = [log.append(numbered) for _ in range(10)]
    log.close()
    assert len(list((tmp_path / "log").iterdir())) > 2
    assert lines_of(tmp_path / "log") == given
    assert given[0].split()[2] == FIRST
    for number, (line, following) in enumerate(pairwise(given)):
        assert following.split()[1:3] == [str(number + 1), hashlib.sha256(line.encode()).hexdigest()]


def test_two_processes_have_two_chains(tmp_path: Path) -> None:
    one, other = (EvidenceLog(tmp_path, max_bytes=100_000, sync=False) for _ in range(2))
    one.append(numbered)
    other.append(numbered)
    one.append(numbered)
    for log in (one, other):
        log.close()
    assert sorted(len(path.read_text().splitlines()) for path in tmp_path.iterdir()) == [1, 2]


_FULL = """
import resource, signal, sys
from pathlib import Path
from bonafide.evidence.log import EvidenceLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = EvidenceLog(Path(sys.argv[1]), max_bytes=100_000_000, sync=True)
make = lambda place: f"{place.number} {place.previous} " + "x" * 3000
kept = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
for _ in range(5):
    try:
        log.append(make)
        kept += 1
    except OSError:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(make)
print(kept)
"""


def test_a_record_that_has_no_room_is_taken_back_and_the_chain_goes_on(tmp_path: Path) -> None:
    """A limit on the size of files fails in the middle of a record, as a full disk does."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    script = [sys.executable, "-c", _FULL, str(tmp_path)]
    kept = int(subprocess.run(script, check=True, capture_output=True, text=True, timeout=60).stdout)
    lines = lines_of(tmp_path)
    assert (kept, len(lines)) == (3, 4)
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"]
    assert lines[3].split()[1] == hashlib.sha256(lines[2].encode()).hexdigest()


def test_a_file_whose_end_is_reported_as_an_error_is_not_written_to_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does where a server has no room: every call fails, that which closes the file too."""
    log = EvidenceLog(tmp_path, max_bytes=100_000, sync=False)
    log.append(numbered)
    closed: list[int] = []
    close = os.close

    def fails(*_arguments: object) -> int:
        raise OSError(errno.EDQUOT, "no room")

    def closes_and_fails(file: int) -> None:
        closed.append(file)
        close(file)
        raise OSError(errno.EDQUOT, "no room")

    with monkeypatch.context() as failing:
        for name, action in {"write": fails, "ftruncate": fails, "close": closes_and_fails}.items():
            failing.setattr(os, name, action)
        with pytest.raises(OSError, match="no room"):
            log.append(numbered)
    assert len(closed) == 1
    with (tmp_path / "other").open("wb") as other:  # has the number of the file that was closed
        assert other.fileno() == closed[0]
        kept = log.append(numbered)
        log.close()
    assert (tmp_path / "other").read_bytes() == b""
    assert kept.split()[1:3] == ["0", FIRST]
    assert kept in lines_of(tmp_path)


def test_no_record_is_given_out_before_the_name_of_its_file_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = Folders(errno.EIO, errno.EIO)
    monkeypatch.setattr(os, "fsync", folders)
    log = EvidenceLog(tmp_path, max_bytes=1_000, sync=True)
    for _ in range(2):
        with pytest.raises(OSError, match="the folder"):
            log.append(numbered)
    for number in range(2):
        assert log.append(numbered).split()[1] == str(number)
    assert folders.synced == [True, False, False]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_system_that_syncs_no_folders_keeps_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", Folders(errno.EINVAL))
    log = EvidenceLog(tmp_path, max_bytes=1_000, sync=True)
    assert [log.append(numbered).split()[1] for _ in range(2)] == ["0", "1"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        EvidenceLog(tmp_path, max_bytes=1_000, sync=True)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(OSError, match="log"):
        EvidenceLog(tmp_path / "log", max_bytes=1000, sync=True)


def test_a_record_that_cannot_be_made_leaves_no_trace(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path, max_bytes=1_000, sync=True)

    def failing(place: Place) -> str:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        log.append(failing)
    assert log.append(numbered).split()[1] == "0"
    log.close()
