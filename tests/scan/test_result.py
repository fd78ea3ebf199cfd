"""Parts of a result: what is committed counts, and nothing else does."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed (dependency group scan)")

from scan.manifest import read_manifest
from scan.result import Result, TakenOver, read_table
from scan.result_storage import FolderStorage
from scan.source import WrongUse

SCAN: dict[str, Any] = {"archive": "calls", "task": "voice", "model": "m1"}


def row(key: str, etag: str = "e", error: str | None = None) -> dict[str, Any]:
    now = datetime.now(UTC)
    model = dict.fromkeys(
        ("model_name", "model_version", "model_fingerprint", "engine", "device", "precision"), "a model"
    )
    known = {"bucket": "calls", "key": key, "etag": etag, "size": 1, "modified": now, "task": "voice"}
    return {**known, **model, "demo": True, "error_code": error, "scanned_at": now}


def keys(storage: FolderStorage) -> list[str]:
    manifest = read_manifest(storage)
    assert manifest is not None
    return sorted(key for part in manifest.parts for key in read_table(storage, part.recordings)["key"].to_pylist())


def test_what_was_committed_is_there_for_the_next_scan(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    Result(storage, SCAN).add([row("a"), row("b", error="unreadable_media"), row("c", error="unavailable")], [])
    again = Result(storage, SCAN)
    assert again.finished() == {"a": "e", "b": "e", "c": None}
    assert again.finished(retry_errors=True) == {"a": "e", "b": None, "c": None}


def test_rows_that_no_longer_hold_leave_the_result(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    result = Result(storage, SCAN)
    result.add([row("a"), row("b")], [])
    result.add([row("c")], [])
    result.forget({"a", "c"})
    assert keys(storage) == ["b"]
    result.add([row("a", "newer")], [])
    result.tidy()
    assert keys(storage) == ["a", "b"]
    assert len(list((tmp_path / "recordings").iterdir())) == len(list((tmp_path / "windows").iterdir())) == 2


@pytest.mark.parametrize("name", [f"{'0f' * 16}.parquet", ".k3x_9abc.part"])
def test_a_file_that_no_manifest_names_does_not_count_and_is_removed(name: str, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    result = Result(storage, SCAN)
    result.add([row("a")], [])
    storage.write(f"recordings/{name}", b"PAR1 and no more")
    assert keys(storage) == ["a"]
    result.tidy()
    assert not (tmp_path / "recordings" / name).exists()


@pytest.mark.parametrize("name", ["call.wav", "table.parquet", "2024/call.wav", f"2024/{'0f' * 16}.parquet"])
def test_what_no_scan_has_written_is_left_alone(name: str, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    storage.write(f"recordings/{name}", b"somebody else's")
    result = Result(storage, SCAN)
    result.add([row("a")], [])
    result.tidy()
    assert storage.read(f"recordings/{name}") == b"somebody else's"


def test_another_model_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = FolderStorage(tmp_path, 0)
    Result(storage, SCAN).add([row("a")], [])
    Result(storage, SCAN)
    assert not caplog.messages
    other = Result(storage, {**SCAN, "model": "m2"})
    assert other.replaced == 1
    assert other.finished() == {}
    assert caplog.messages == ["1 rows there are of another model or other settings; they go when this scan ends"]


def test_another_archive_is_refused(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    Result(storage, SCAN)
    with pytest.raises(WrongUse, match="archive"):
        Result(storage, {**SCAN, "archive": "others"})


def test_of_two_scans_the_later_one_writes(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    first = Result(storage, SCAN)
    Result(storage, SCAN).add([row("a")], [])
    with pytest.raises(TakenOver):
        first.add([row("a")], [])
    assert keys(storage) == ["a"]


def test_a_scan_that_was_taken_over_takes_no_rows_out_of_the_result(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    Result(storage, SCAN).add([row("a")], [])
    first = Result(storage, SCAN)
    second = Result(storage, SCAN)
    second.add([row("b")], [])
    with pytest.raises(TakenOver):
        first.forget({"a"})
    second.add([row("c")], [])
    assert keys(storage) == ["a", "b", "c"]


def test_a_scan_that_is_taken_over_while_it_tidies_removes_nothing_of_the_later_one(tmp_path: Path) -> None:
    class TakenOverMeanwhile(FolderStorage):
        later: Result | None = None

        def names(self, folder: str) -> list[str]:
            if self.later is None:
                self.later = Result(storage, SCAN)
                self.later.add([row("b")], [])
            return super().names(folder)

    storage = FolderStorage(tmp_path, 0)
    first = Result(TakenOverMeanwhile(tmp_path, 0), SCAN)
    first.add([row("a")], [])
    with pytest.raises(TakenOver):
        first.tidy()
    assert keys(storage) == ["a", "b"]


def test_rows_that_a_scan_by_mistake_would_have_replaced_count_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that was interrupted, since the model's setting had been forgotten."""
    storage, other = FolderStorage(tmp_path, 0), {**SCAN, "model": "m2"}
    Result(storage, SCAN).add([row("a")], [])
    Result(storage, other)
    Result(storage, other).add([row("b")], [])
    caplog.clear()
    again = Result(storage, SCAN)
    assert (again.finished(), again.replaced) == ({"a": "e"}, 1)
    assert caplog.messages == [
        "1 rows of an earlier scan with this model and these settings count again",
        "1 rows there are of another model or other settings; they go when this scan ends",
    ]
    assert Result(storage, other).finished() == {"b": "e"}
    last = Result(storage, SCAN)
    last.tidy()
    assert keys(storage) == ["a"]
    assert Result(storage, other).finished() == {}


def test_what_a_scan_that_is_killed_while_it_tidies_has_replaced_does_not_count_again(tmp_path: Path) -> None:
    class Killed(FolderStorage):
        def remove(self, name: str) -> None:
            super().remove(name)
            if name.endswith(".parquet"):
                raise KeyboardInterrupt

    Result(FolderStorage(tmp_path, 0), SCAN).add([row("a")], [])
    with pytest.raises(KeyboardInterrupt):
        Result(Killed(tmp_path, 0), {**SCAN, "model": "m2"}).tidy()
    assert Result(FolderStorage(tmp_path, 0), SCAN).finished() == {}


@pytest.mark.parametrize("begin", [b"PAR1", b""])
def test_a_damaged_file_of_a_part_is_said(begin: bytes, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    Result(storage, SCAN).add([row("a")], [])
    (name,) = storage.names("recordings")
    content = storage.read(name)
    assert content is not None
    storage.write(name, begin + b"\0" * 200 + content[200:] if begin else b"torn")
    with pytest.raises(WrongUse, match="is no table of a scan"):
        Result(storage, SCAN).finished()
