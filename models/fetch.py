"""Saves the model in the settings, so that the service itself never has to access the hub.

Usage: python -m models.fetch voice|face
"""

import argparse
import sys

from models.catalog import find_model
from models.configured import WrongSettings, reference_of, settings_for
from models.errors import ModelError


def main() -> int:
    """Returns 0 when the model is saved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("voice", "face"))
    task = parser.parse_args().task
    try:
        settings = settings_for(task)
        files = find_model(reference_of(task, settings), task, settings.models_dir, offline=settings.offline)
    except (ModelError, WrongSettings) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{files.name}: {files.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
