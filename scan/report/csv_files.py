"""The tables of a report as CSV files, which spreadsheets may open although the keys in them are not to be trusted."""

import csv
from collections.abc import Iterable
from pathlib import Path

from scan.report.tables import Table, Value

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Writes one file a table, UTF-8, with a line of column names; numbers as they are, nothing for what is unknown.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in tables:
        path = folder / f"{table.name}.csv"
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column.name for column in table.columns])
            writer.writerows([_cell(value) for value in row] for row in table.rows)
        paths.append(path)
    return paths


def _cell(value: Value) -> Value:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
