"""The tables of a report as CSV files, which spreadsheets may open although the keys in them are not to be trusted."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from scan.places import FolderPlace
from scan.report.tables import Table, Value

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Writes one file a table, UTF-8, with a line of column names; numbers as they are, nothing for what is unknown.

    A text that a spreadsheet would take for a formula begins with an apostrophe. Each file is written whole or not at
    all.

    Raises:
        WrongUse, StorageGone: a file cannot be written.
    """
    place, paths = FolderPlace(folder, patience_s=0.0), []
    for table in tables:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([column.name for column in table.columns])
        writer.writerows([_cell(value) for value in row] for row in table.rows)
        name = f"{table.name}.csv"
        place.write(name, text.getvalue().encode("utf-8", "backslashreplace"))
        paths.append(folder / name)
    return paths


def _cell(value: Value) -> Value:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
