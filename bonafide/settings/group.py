"""What all groups of settings have in common."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
ENV_FILE = ".env"


class SettingsGroup(BaseSettings):
    """A part of `Settings`; names in the environment are `BONAFIDE_<NAME>` unless an alias is given.

    The sentence below each field is read by `scripts.settings_table` alone: pydantic would parse it at each start.
    """

    model_config = SettingsConfigDict(
        env_prefix="BONAFIDE_",
        env_file=ENV_FILE,
        env_ignore_empty=True,
        allow_inf_nan=False,  # no timer of the event loop or of Redis takes them
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # among them are secrets
        defer_build=True,  # only the whole is read
    )


def cache_home() -> Path:
    """The user's cache folder: `$XDG_CACHE_HOME`, or `~/.cache`.

    Raises:
        FileNotFoundError: the user has no home.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bonafide"
    except RuntimeError:
        raise FileNotFoundError("this user has no home, so HOME or BONAFIDE_MODELS_DIR must be set") from None
