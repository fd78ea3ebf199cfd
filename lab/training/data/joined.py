"""Joins manifests, to calibrate on several data: `python -m lab.training.data.joined OUT MANIFEST MANIFEST`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from lab.training.data.manifest import check_split, read, write

log = logging.getLogger(__name__)


def join(manifests: Sequence[Path], out: Path) -> int:
    """Writes the rows of all, in their order, and returns how many there are.

    Raises:
        ValueError: a manifest is wrong, or one has a subject in another split than another.
    """
    items = [item for path in manifests for item in read(path)]
    check_split(items)
    write(items, out)
    return len(items)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training.data.joined", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("out", type=Path, help="manifest to write")
    parser.add_argument("manifests", type=Path, nargs="+", help="manifests to join")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("%d rows: %s", join(options.manifests, options.out), options.out)


if __name__ == "__main__":
    main()
