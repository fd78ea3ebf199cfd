"""Saves the model in the settings, or an ensemble's members, so that the service itself never accesses the hub.

Usage: python -m models.fetch voice|face
"""

import argparse
import sys

from models.catalog import find_model
from models.configured import WrongSettings, load_options, reference_of, settings_for
from models.ensemble_members import find_members
from models.errors import ModelError
from models.manifest_file import read_ensemble


def main() -> int:
    """Returns 0 when the model is saved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("voice", "face"))
    task = parser.parse_args().task
    try:
        settings = settings_for(task)
        files = find_model(reference_of(task, settings), task, settings.models_dir, offline=settings.offline)
        found = [files]
        if files.is_ensemble:
            members = find_members(files.path, read_ensemble(files.path), task, load_options(task, settings))
            found += [member.files for member in members]
    except (ModelError, WrongSettings) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{each.name}: {each.path}\n" for each in found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
