"""Imports modules, so that Python compiles them and what they import once, for all processes that follow.

Usage: python -m scripts.import_all NAME...; of a package of this folder all modules are imported.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path


def modules(name: str) -> Iterator[str]:
    """Yields what is imported for a name."""
    yield name
    if Path(name).is_dir():
        for module in pkgutil.walk_packages([name], f"{name}."):
            if not module.name.endswith(".__main__"):
                yield module.name


if __name__ == "__main__":
    for each in (module for name in sys.argv[1:] for module in modules(name)):
        try:
            importlib.import_module(each)
        except ImportError as error:
            sys.stderr.write(f"not compiled: {each}: {error}\n")
