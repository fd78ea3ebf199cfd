"""What a scan looks at: everything below its source or a list of keys, but never its own result."""

import os
from pathlib import Path
from typing import Any

import pytest

from bonafide.errors import Unavailable
from bonafide.settings import Settings
from bonafide.storage.folder import PlainFolder
from bonafide.storage.store import ObjectStat
from scan.listing import listed
from scan.options import Options
from scan.retries import StorageGone
from scan.selection import Selection
from scan.source import Source, WrongUse

SETTINGS = Settings()


def keys(
    folder: Path, out: str, names: list[str] | None = None, settings: Settings = SETTINGS
) -> list[tuple[str, bool]]:
    options = Options(str(folder), out, "voice", Selection(), keys=names, patience_s=0.0)
    found = listed(Source.at(str(folder), settings), options, settings)
    return sorted((each.key, bool(each.etag)) for each in found)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    for name in ("a.wav", "2024/b.wav", "result/recordings/1.parquet", "results.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"-")
    return folder


def test_all_files_below_a_folder(archive: Path, tmp_path: Path) -> None:
    assert [key for key, _ in keys(archive, str(tmp_path / "out"))] == [
        "2024/b.wav",
        "a.wav",
        "result/recordings/1.parquet",
        "results.wav",
    ]


def test_a_result_below_its_archive_is_no_part_of_it(archive: Path) -> None:
    assert [key for key, _ in keys(archive, str(archive / "result"))] == ["2024/b.wav", "a.wav", "results.wav"]


def test_so_is_one_in_a_hidden_folder_and_no_other_in_its_place(archive: Path) -> None:
    (archive / "result").rename(archive / ".result")
    (archive / "result").mkdir()
    (archive / "result" / "c.wav").write_bytes(b"-")
    expected = ["2024/b.wav", "a.wav", "result/c.wav", "results.wav"]
    assert [key for key, _ in keys(archive, str(archive / ".result"))] == expected


def test_a_result_may_not_lie_where_the_archive_does(archive: Path) -> None:
    with pytest.raises(WrongUse, match="is the archive itself"):
        keys(archive, str(archive))


@pytest.mark.parametrize("name", ["recordings", "windows", "recordings/2024"])
def test_nor_may_its_files(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(WrongUse, match="would have its files in the archive"):
        keys(tmp_path / name, str(tmp_path))


@pytest.mark.parametrize("out", ["s3://calls/2024", "s3://calls/2024/03", "s3://calls/2024/03/", "s3://calls/"])
@pytest.mark.parametrize("endpoint", [None, "127.0.0.1:1"])
def test_nor_may_it_hold_the_part_of_a_bucket_that_is_the_archive(
    out: str, endpoint: str | None, tmp_path: Path
) -> None:
    (tmp_path / "calls").mkdir()
    access: dict[str, Any] = {"minio_access_key": "a", "minio_secret_key": "s"} if endpoint else {}
    settings = Settings(objects_dir=tmp_path, minio_endpoint=endpoint, **access)
    options = Options("s3://calls/2024/03/", out, "voice", Selection(), patience_s=0.0)
    with pytest.raises(WrongUse, match="or holds it"):
        listed(Source.at(options.source, settings), options, settings)


def test_listed_keys_are_looked_up_once_and_missing_ones_have_no_etag(archive: Path, tmp_path: Path) -> None:
    found = keys(archive, str(tmp_path / "out"), ["a.wav", "gone.wav", "a.wav"])
    assert found == [("a.wav", True), ("gone.wav", False)]


def test_an_address_in_another_bucket_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="lies in another bucket"):
        keys(archive, str(tmp_path / "out"), ["s3://other/a.wav"])


@pytest.mark.parametrize(
    "odd",
    ["./a.wav", "/a.wav", "../x", "2024/../a.wav", "a\x07b", " ", "x" * 2_000, "n" * 300, "2024", "a.wav/b", "big.wav"],
)
def test_a_listed_key_that_cannot_be_read_takes_no_other_with_it(archive: Path, tmp_path: Path, odd: str) -> None:
    (archive / "big.wav").write_bytes(b"-" * 1_001)
    found = keys(archive, str(tmp_path / "out"), ["a.wav", odd], Settings(max_audio_bytes=1_000))
    assert dict(found) == {"a.wav": True, odd: False}


def test_a_storage_that_does_not_answer_is_no_property_of_a_key(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stat(self: PlainFolder, bucket: str, key: str) -> ObjectStat:
        raise Unavailable("gone")

    monkeypatch.setattr(PlainFolder, "stat", stat)
    with pytest.raises(StorageGone, match="looking up keys"):
        keys(archive, str(tmp_path / "out"), ["a.wav"])


ODD_NAMES = {
    b"caf\xe9.wav": r"./caf\xe9.wav",
    rb"caf\xe9.wav": r"caf\xe9.wav",
    b"caf\\xe9\xe9.wav": r"./caf\\xe9\xe9.wav",
    b"caf\xe9\xe9.wav": r"./caf\xe9\xe9.wav",
    "café.wav".encode(): "café.wav",
    "café".encode() + b"\xe9.wav": r"./café\xe9.wav",
    b"\xed\xb3\xa9.wav": r"./\xed\xb3\xa9.wav",
    b"2024/caf\xe9.wav": r"2024/./caf\xe9.wav",
    b"caf\xe9/a.wav": r"caf\xe9/./a.wav",
}
"""Names of files, and their keys."""


def test_a_name_that_is_not_utf_8_is_escaped_as_no_other_key_is(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    for name in ODD_NAMES:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"-")
    assert keys(folder, str(tmp_path / "out")) == sorted((key, True) for key in ODD_NAMES.values())


def test_a_result_in_a_folder_of_such_a_name_is_no_part_of_its_archive(archive: Path) -> None:
    out = archive / "caf\udce9"
    (out / "recordings").mkdir(parents=True)
    (out / "recordings" / "1.parquet").write_bytes(b"-")
    (out / "manifest.json").write_bytes(b"-")
    assert len(keys(archive, str(out))) == 4


def test_so_is_a_listed_key(archive: Path, tmp_path: Path) -> None:
    assert keys(archive, str(tmp_path / "out"), ["caf\udce9.wav"]) == [(r"./caf\xe9.wav", False)]


def test_a_folder_of_such_a_name_has_its_bucket_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"-")
    assert keys(folder, str(tmp_path / "out")) == [("a.wav", True)]
    assert Source.at(str(folder), SETTINGS).bucket.endswith(r"/caf\xe9")


def test_files_that_vanish_or_may_not_be_looked_at_end_no_listing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def failing(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.name == "a.wav":
            raise FileNotFoundError(2, "gone")
        if self.name == "b.wav":
            raise PermissionError(13, "not for you")
        return stat(self, follow_symlinks=follow_symlinks)

    (archive / "link.wav").symlink_to("nowhere")
    (archive / "loop.wav").symlink_to("loop.wav")
    monkeypatch.setattr(Path, "stat", failing)
    assert keys(archive, str(archive / "result")) == [("2024/b.wav", False), ("results.wav", True)]


def failing_in(folder: Path, error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a folder one that cannot be listed."""
    scandir = os.scandir

    def failing(path: Any = ".") -> Any:
        if Path(path) == folder:
            raise OSError(error.errno, error.strerror, str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)


def test_a_folder_that_vanishes_ends_no_listing(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_in(archive / "2024", FileNotFoundError(2, "gone"), monkeypatch)
    assert [key for key, _ in keys(archive, str(archive / "result"))] == ["a.wav", "results.wav"]


def test_an_archive_that_vanishes_does(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_in(archive, FileNotFoundError(2, "gone"), monkeypatch)
    with pytest.raises(WrongUse, match="listing the archive: gone"):
        keys(archive, str(archive / "result"))


def test_a_folder_that_may_not_be_listed_is_named(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_in(archive / "2024", PermissionError(13, "Permission denied"), monkeypatch)
    with pytest.raises(WrongUse, match="2024 may not be listed"):
        keys(archive, str(archive / "result"))


def test_each_listed_key_is_waited_for_by_itself(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def stat(self: PlainFolder, bucket: str, key: str) -> ObjectStat:
        asked.append(key)
        if asked.count(key) == 1:
            raise Unavailable("gone")
        return ObjectStat("id", 1, etag="e")

    monkeypatch.setattr(PlainFolder, "stat", stat)
    options = Options(str(archive), str(tmp_path / "out"), "voice", Selection(), keys=["a", "b", "c"], patience_s=0.9)
    assert len(list(listed(Source.at(str(archive), SETTINGS), options, SETTINGS))) == 3
    assert asked == ["a", "a", "b", "b", "c", "c"]
