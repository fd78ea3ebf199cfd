"""The command that writes the report, on folders and on a real MinIO; and its CSV files."""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from scan.report.command import add_options, run
from scan.report.csv_files import write_csv
from scan.report.tables import Column, Table
from scan.result import Result
from scan.result_storage import FolderStorage
from tests.scan.report.made import Row, failed, random_rows, recording, windows, written
from tests.servers import ACCESS_KEY, SECRET_KEY, Server, minio_client, minio_server

__all__ = ["minio_server"]


def report(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return run(parser.parse_args([str(each) for each in arguments]))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_html_and_csv_of_the_same_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Row] = random_rows(500)
    high = recording(
        "!high", score=1.0, label="spoof", suspicious=[{"start": 0.0, "end": 4.0, "score": 1.0}], windows=2
    )
    folder = written(tmp_path / "results", [*rows, high], windows(high, [1.0, 0.25]))
    out, tables = tmp_path / "made" / "report.html", tmp_path / "csv"
    assert report(folder, "--out", out, "--csv", tables, "--top", "5") == 0
    assert "!high" in out.read_text(encoding="utf-8")
    assert set(capsys.readouterr().out.split()) == {str(out), *map(str, tables.iterdir())}
    assert {path.stem for path in tables.iterdir()} == {
        "tasks", "days", "sources", "codecs", "models", "histograms", "conditions", "errors", "suspicious",
        "stretches", "strips",
    }  # fmt: skip
    for name in ("tasks", "days", "sources", "codecs"):
        assert sum(int(row["rows"]) for row in read(tables / f"{name}.csv")) == 501
    assert len(read(tables / "days.csv")) == len({row["modified"].date() for row in [*rows, high]})
    assert sum(int(row["rows"]) for row in read(tables / "errors.csv")) == sum(bool(row["error_code"]) for row in rows)
    scored = sum(row["score"] is not None for row in [*rows, high])
    assert sum(int(row["scores"]) for row in read(tables / "histograms.csv")) == scored
    assert read(tables / "suspicious.csv")[0]["key"] == "!high"
    assert len(read(tables / "suspicious.csv")) == 5
    assert read(tables / "stretches.csv")[0] == {"key": "!high", "start": "0.0", "end": "4.0", "score": "1.0"}
    assert [row["score"] for row in read(tables / "strips.csv") if row["key"] == "!high"] == ["1.0", "0.25"]


def test_a_result_as_a_scan_writes_it(tmp_path: Path) -> None:
    result = Result(FolderStorage(tmp_path / "results", 0.0), {"archive": "calls", "task": "voice"})
    first = recording("a", score=0.9, label="spoof", windows=2)
    result.add([first], windows(first, [0.9, 0.8]))
    result.add([failed("b"), recording("c")], [])
    result.forget(["c"])
    assert report(tmp_path / "results", "--out", tmp_path / "report.html", "--csv", tmp_path / "csv") == 0
    assert [(row["rows"], row["errors"]) for row in read(tmp_path / "csv" / "tasks.csv")] == [("2", "1")]
    assert [row["score"] for row in read(tmp_path / "csv" / "strips.csv")] == ["0.9", "0.8"]


def test_a_table_that_is_not_finished_leaves_the_older_one(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise KeyboardInterrupt

    column = Column("a", "A", "count")
    write_csv(tmp_path, [Table("t", "", (column,), [(2,)])])
    with pytest.raises(KeyboardInterrupt):
        write_csv(tmp_path, [Table("t", "", (column,), rows())])  # type: ignore[arg-type]
    assert read(tmp_path / "t.csv") == [{"a": "2"}]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("key", ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx"])
def test_no_text_is_a_formula(key: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "results", [failed(key), recording("a", score=0.9, label="spoof")])
    assert report(folder, "--out", tmp_path / "report.html", "--csv", tmp_path / "csv") == 0
    assert [row["example_key"] for row in read(tmp_path / "csv" / "errors.csv")] == [f"'{key}"]


@pytest.mark.parametrize(
    ("key", "written_as"),
    [
        ("\uff1d1", "'\uff1d1"),  # full-width, a formula too where that is how one types
        (" =1", "' =1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("a;=1+1", "a;'=1+1"),  # where a comma stands in numbers, the semicolon separates cells
        ("a\t@x", "a\t'@x"),
        ("a\n+1", "a\n'+1"),
        ('a";-1', "a\";'-1"),
        ("2024-03-01/a+b=c@d.wav", "2024-03-01/a+b=c@d.wav"),
        ("a; b.wav", "a; b.wav"),
    ],
)
def test_no_spreadsheet_of_another_country_finds_a_formula(key: str, written_as: str, tmp_path: Path) -> None:
    write_csv(tmp_path, [Table("t", "", (Column("a", "A", "text"),), [(key,)])])
    assert read(tmp_path / "t.csv") == [{"a": written_as}]


def test_tables_that_cannot_be_written_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "results", [recording("a")])
    (tmp_path / "csv").write_bytes(b"a file")
    assert report(folder, "--out", tmp_path / "report.html", "--csv", tmp_path / "csv") == 2
    assert "File exists" in capsys.readouterr().err


def test_tables_of_an_earlier_report_do_not_stay_beside_new_ones(tmp_path: Path) -> None:
    high = recording("a", score=0.9, label="spoof", suspicious=[{"start": 0.0, "end": 4.0, "score": 0.9}], windows=1)
    folder = written(tmp_path / "results", [high], windows(high, [0.9]))
    assert report(folder, "--out", tmp_path / "report.html", "--csv", tmp_path / "csv") == 0
    first = {path.name: path.read_text().split()[0] for path in (tmp_path / "csv").iterdir()}
    assert report(folder, "--out", tmp_path / "report.html", "--csv", tmp_path / "csv", "--top", "0") == 0
    assert {path.name: path.read_text().split()[0] for path in (tmp_path / "csv").iterdir()} == first
    assert [read(tmp_path / "csv" / f"{name}.csv") for name in ("suspicious", "stretches", "strips")] == [[], [], []]


def test_a_report_whose_name_is_not_utf_8_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "results", [recording("a")])
    assert report(folder, "--out", tmp_path / "caf\udce9.html") == 0
    assert capsys.readouterr().out == f"{tmp_path}/caf\\xe9.html\n"


def test_no_suspicious_recordings_are_asked_for(tmp_path: Path) -> None:
    folder = written(tmp_path / "results", [recording("a")])
    assert report(folder, "--out", tmp_path / "report.html", "--top", "0") == 0


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "no manifest.json"),
        ("{", "is no manifest"),
        ("[]", "is no manifest"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1}', "is no manifest"),
        (
            '{"format": 1, "scan": {}, "parts": [{"recordings": "gone", "windows": "w", "rows": 1, "window_rows": 1}]}',
            "gone",
        ),
        (
            '{"format": 1, "scan": {}, "parts": [{"recordings": "torn", "windows": "w", "rows": 1, "window_rows": 1}]}',
            "no table",
        ),
    ],
)
def test_what_is_no_result_is_said(
    manifest: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn").write_bytes(b"PAR1 torn")
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    assert report(tmp_path, "--out", tmp_path / "report.html") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_table_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "results", [recording(str(number)) for number in range(500)])
    table = folder / "recordings" / "0.parquet"
    content = bytearray(table.read_bytes())
    content[40:400] = bytes(360)
    table.write_bytes(content)
    assert report(folder, "--out", tmp_path / "report.html") == 2
    assert "recordings/0.parquet is no table of a scan" in capsys.readouterr().err


@pytest.mark.slow
def test_results_in_a_bucket(tmp_path: Path, minio_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "results", [recording("a", score=0.9, label="spoof")])
    client = minio_client(minio_server)
    client.make_bucket("reports")
    for path in folder.rglob("*.*"):
        client.fput_object("reports", f"results/{path.relative_to(folder)}", str(path))
    monkeypatch.setenv("MINIO_ENDPOINT", minio_server.address)
    monkeypatch.setenv("MINIO_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("MINIO_SECRET_KEY", SECRET_KEY)
    assert report("s3://reports/results/", "--out", tmp_path / "report.html", "--csv", tmp_path / "csv") == 0
    assert [row["key"] for row in read(tmp_path / "csv" / "suspicious.csv")] == ["a"]


def test_a_bucket_without_an_endpoint_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "verdicts" / "calls", [recording("a", score=0.9, label="spoof")])
    monkeypatch.delenv("MINIO_ENDPOINT", raising=False)
    monkeypatch.setenv("BONAFIDE_OBJECTS_DIR", str(tmp_path))
    assert report("s3://verdicts/calls/", "--out", tmp_path / "report.html") == 0
