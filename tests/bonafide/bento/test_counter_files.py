import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from bonafide.bento.counter_files import CounterFile


def kept(path: Path) -> dict[str, float]:
    """The values that `/metrics` would find in a file."""
    found = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    return {key: value for key, value, *_ in found}


def has_room(path: Path) -> bool:
    """Whether the disk has a place for each byte of a file."""
    told = path.stat()
    return told.st_blocks * 512 >= told.st_size > 0


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def test_nothing_is_written_to_where_the_disk_may_be_full(tmp_path: Path) -> None:
    file = CounterFile(str(path := tmp_path / "counter_1.db"))
    assert has_room(path)
    names = [f"series {number} {'long' * 50}" for number in range(2000)]
    for value, name in enumerate(names):
        file.write_value(name, float(value), 0.0)
    assert has_room(path)
    assert list(kept(path)) == names
    assert file.read_value(names[-1]) == (1999.0, 0.0)
    file.close()


def test_a_file_of_an_earlier_process_of_this_id_is_continued(tmp_path: Path) -> None:
    first = CounterFile(str(path := tmp_path / "counter_1.db"))
    first.write_value("calls", 3.0, 0.0)
    first.close()
    second = CounterFile(str(path))
    assert second.read_value("calls") == (3.0, 0.0)
    second.write_value("calls", 4.0, 0.0)
    assert kept(path) == {"calls": 4.0}
    second.close()


def test_on_a_full_disk_values_stay_in_memory_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill_disk(monkeypatch)
    with caplog.at_level(logging.WARNING):
        file = CounterFile(str(path := tmp_path / "counter_1.db"))
        assert file.read_value("calls") == (0.0, 0.0)
        file.write_value("calls", 1.0, 0.0)
        file.write_value("calls", 2.0, 0.0)
    assert kept(path) == {}
    assert [record.getMessage() for record in caplog.records] == ["new metrics are not shown: no room for their file"]
    monkeypatch.undo()
    file.write_value("calls", 3.0, 0.0)
    assert kept(path) == {"calls": 3.0}
    file.close()


def test_what_has_its_place_is_counted_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CounterFile(str(path := tmp_path / "counter_1.db"))
    file.write_value("calls", 1.0, 0.0)

    fill_disk(monkeypatch)
    file.write_value("calls", 2.0, 0.0)
    file.write_value("x" * 100_000, 1.0, 0.0)
    assert kept(path) == {"calls": 2.0}
    file.close()


def test_the_metrics_of_the_service_are_kept_this_way(tmp_path: Path) -> None:
    program = (
        "from bonafide.bento.counter_files import reserve_room; reserve_room(); reserve_room()\n"
        "from bonafide.telemetry import CALLS\n"
        "CALLS.labels('http', 'health', 'ok').inc()\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    files = list(tmp_path.glob("*.db"))
    assert files
    assert all(map(has_room, files))
