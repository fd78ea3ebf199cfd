"""`bonafide-scan report RESULTS`: writes the report of a scan that is finished or in progress."""

import argparse
import sys
from pathlib import Path

from bonafide.environment import WrongSettings, read_settings
from scan.arguments import number
from scan.names import as_text
from scan.report.csv_files import write_csv
from scan.report.gathering import gathered
from scan.report.page import rendered
from scan.report.tables import for_csv
from scan.result_storage import FolderStorage, storage_at
from scan.retries import StorageGone
from scan.source import WrongUse

MAX_TOP = 1000
_PATIENCE_S = 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("results", metavar="RESULTS", help="where the scan wrote to: a folder or s3://BUCKET/PREFIX")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="HTML file (%(default)s)")
    parser.add_argument("--csv", type=Path, metavar="FOLDER", help="write the tables as CSV files too")
    parser.add_argument("--top", type=number(int, 0, MAX_TOP), default=50, metavar="N",
                        help=f"recordings that are drawn, up to {MAX_TOP} (%(default)s)")  # fmt: skip
    parser.add_argument("--source-depth", type=number(int, 1, 8), default=1, metavar="N",
                        help="how many folders at the beginning of a key are its source (%(default)s)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Writes the report that the options ask for, and says where it lies.

    Returns:
        The exit status: 0, or 2 where there is no result to read, or the report cannot be written.
    """
    try:
        storage = storage_at(options.results, read_settings(), _PATIENCE_S)
        found = gathered(storage, top=options.top, source_depth=options.source_depth)
        page = rendered(found, name=options.results).encode("utf-8", "backslashreplace")
        FolderStorage(options.out.parent, patience_s=0.0).write(options.out.name, page)
        paths = [options.out]
        if options.csv:
            paths += write_csv(options.csv, for_csv(found))
    except (WrongUse, StorageGone, WrongSettings, OSError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2
    sys.stdout.writelines(f"{as_text(str(path))}\n" for path in paths)
    return 0
