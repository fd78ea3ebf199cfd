"""Reads a training's YAML file as the dataclass that names its values."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    RecipeT = TypeVar("RecipeT", bound=DataclassInstance)


def read_recipe(path: Path, kind: "type[RecipeT]") -> "RecipeT":
    """Reads a configuration file.

    Args:
        path: of the file.
        kind: the dataclass, whose fields are all of its values.

    Raises:
        ValueError: A value is missing or unknown; the message names it.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {field.name for field in fields(kind)}
    if wrong := names ^ set(values):
        raise ValueError(f"{path}: missing or unknown: {', '.join(sorted(wrong))}")
    return kind(**values)
