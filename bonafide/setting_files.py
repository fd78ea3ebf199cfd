"""The files that hold settings besides the environment: what is wrong with them, since unknown names are ignored.

Messages name the file, and contain none of its values, which may be secrets.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic_settings import DotEnvSettingsSource

from bonafide import settings


def dotenv_values() -> dict[str, str | None]:
    """The variables that `.env` sets, by upper-case names.

    Raises:
        ValueError: it is no text.
    """
    try:
        return {name.upper(): value for name, value in DotEnvSettingsSource(settings.Settings).env_vars.items()}
    except UnicodeDecodeError:
        raise ValueError(".env is no UTF-8 text") from None


def yaml_files() -> list[Path]:
    """The YAML files that are read, whether they exist or not."""
    named = os.environ.get("BONAFIDE_CONFIG")
    return [*([Path(named)] if named else []), settings.SHIPPED]


def yaml_values(path: Path) -> dict[str, Any]:
    """What a YAML file sets, by names; nothing if it does not exist.

    Raises:
        ValueError: it is no YAML, or holds something else than names with values.
    """
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"{path} is no valid YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} must hold settings, like `voice_model: bundled`")
    return {str(name): value for name, value in content.items()}
