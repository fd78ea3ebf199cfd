"""What a scan looks at: everything below its source or a list of keys, but never its own result."""

from pathlib import Path

import pytest

from bonafide.settings import Settings
from scan.listing import listed
from scan.options import Options
from scan.selection import Selection
from scan.source import Source, WrongUse

SETTINGS = Settings()


def keys(folder: Path, out: str, names: list[str] | None = None) -> list[tuple[str, bool]]:
    options = Options(str(folder), out, "voice", Selection(), keys=names, patience_s=0.0)
    found = listed(Source.at(str(folder), SETTINGS), options, SETTINGS)
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


def test_a_result_may_not_lie_where_the_archive_does(archive: Path) -> None:
    with pytest.raises(WrongUse, match="is the archive itself"):
        keys(archive, str(archive))


def test_listed_keys_are_looked_up_once_and_missing_ones_have_no_etag(archive: Path, tmp_path: Path) -> None:
    found = keys(archive, str(tmp_path / "out"), ["a.wav", "gone.wav", "a.wav"])
    assert found == [("a.wav", True), ("gone.wav", False)]


def test_an_address_in_another_bucket_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="lies in another bucket"):
        keys(archive, str(tmp_path / "out"), ["s3://other/a.wav"])
