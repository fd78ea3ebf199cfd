"""Loads a model once, in a process of its own: `python -m models.first_load voice|face REFERENCE`.

On a CPU a checkpoint is converted then, and kept, so that the process that serves reads what was kept: a conversion
stops the calls of its process for seconds, and a checkpoint that takes all memory ends this process instead.
"""

import argparse
import logging
import os
import sys

from models.configured import SOURCES, WrongSettings, settings_for
from models.errors import ModelError

_LOWEST = 19


def main() -> int:
    """Returns 0 when it is loaded; else the reason is on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(SOURCES))
    parser.add_argument("reference", metavar="REFERENCE")
    parser.add_argument(
        "--spoof-label", metavar="NAME", help="class that means spoof, when its name does not decide it"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    os.nice(_LOWEST)
    try:
        SOURCES[arguments.task](settings_for(arguments.task)).load(arguments.reference, arguments.spoof_label)
    except (ModelError, WrongSettings) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
