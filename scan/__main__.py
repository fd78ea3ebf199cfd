"""`bonafide-scan SOURCE --out RESULT` judges an archive; `bonafide-scan report RESULT` draws what came out."""

import argparse
import sys

from scan import command
from scan.report import command as report


def main(arguments: list[str] | None = None) -> int:
    """Runs one of the two commands; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["report"]:
        parser = argparse.ArgumentParser(prog="bonafide-scan report", description=report.__doc__)
        report.add_options(parser)
        return report.run(parser.parse_args(given[1:]))
    parser = argparse.ArgumentParser(prog="bonafide-scan", description=command.__doc__, epilog=command.EPILOG)
    command.add_options(parser)
    return command.run(parser.parse_args(given))


if __name__ == "__main__":
    sys.exit(main())
