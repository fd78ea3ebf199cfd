"""The tables of a report as CSV files, which spreadsheets may open although the keys in them are not to be trusted."""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from scan.report.tables import Table, Value
from scan.result_storage import FolderStorage

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""With which a formula begins; those of full width too, where that is how one types."""
_FORMULA = re.compile(rf"\A(?=[\t\r\n]|[\s\ufeff]*[{_SIGNS}])")
_LATER_FORMULA = re.compile(rf'(?<=[;\t\r\n])(?=[\s\ufeff"]*[{_SIGNS}])')
"""Within a text: where a comma stands in numbers, or by its reader's choice, another character separates cells."""


def write_csv(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Writes one file a table, UTF-8, with a line of column names; numbers as they are, nothing for what is unknown.

    Before what a spreadsheet would take for a formula, in any country, stands an apostrophe. Each file is written
    whole or not at all.

    Raises:
        WrongUse, StorageGone: a file cannot be written.
    """
    storage, paths = FolderStorage(folder, patience_s=0.0), []
    for table in tables:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([column.name for column in table.columns])
        writer.writerows([_cell(value) for value in row] for row in table.rows)
        name = f"{table.name}.csv"
        storage.write(name, text.getvalue().encode("utf-8", "backslashreplace"))
        paths.append(folder / name)
    return paths


def _cell(value: Value) -> Value:
    if isinstance(value, str):
        return _FORMULA.sub("'", _LATER_FORMULA.sub("'", value))
    return value
