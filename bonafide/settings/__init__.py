"""Every setting of the service, read once at start from the environment, `.env` and optional YAML files.

docs/deploy.md has them as a table, made by `scripts/settings_table.py` from this package.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from bonafide.settings.access import AccessSettings
from bonafide.settings.cache import CacheSettings
from bonafide.settings.calls import CallSettings
from bonafide.settings.environment import Environment
from bonafide.settings.group import ENV_FILE
from bonafide.settings.grpc import GrpcSettings
from bonafide.settings.jobs import JobSettings
from bonafide.settings.limits import LimitSettings
from bonafide.settings.live import LiveSettings
from bonafide.settings.models import ModelSettings
from bonafide.settings.objects import ObjectSettings
from bonafide.settings.records import RecordSettings

SHIPPED = Path(__file__).resolve().parents[2] / "bonafide.yaml"
"""Settings shipped with the code: a Bento built with other models sets them here."""


# pydantic takes the fields of the last base first.
class Settings(
    CacheSettings,
    ObjectSettings,
    LimitSettings,
    JobSettings,
    RecordSettings,
    AccessSettings,
    GrpcSettings,
    LiveSettings,
    CallSettings,
    ModelSettings,
):
    """All settings; names in the environment are `BONAFIDE_<NAME>` unless an alias is given.

    Order of precedence: environment, `.env`, the YAML file named by `BONAFIDE_CONFIG`, `SHIPPED`, defaults.
    """

    model_config = SettingsConfigDict(defer_build=False)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON lines elsewhere."""

    @model_validator(mode="after")
    def _workers_share_redis(self) -> Self:
        if self.workers > 1 and self.redis is None:
            raise ValueError("BONAFIDE_WORKERS is more than 1, so REDIS_HOST or REDIS_URL must be set: they share it")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the YAML files; see pydantic-settings."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, Environment(settings_cls)]
        if Path(ENV_FILE).exists():  # it looks at each field, which takes as long as all other sources
            sources.append(dotenv_settings)
        if path := os.environ.get("BONAFIDE_CONFIG"):
            if not Path(path).is_file():
                raise FileNotFoundError(f"BONAFIDE_CONFIG names {path}, which is not a file")
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=path))
        if SHIPPED.exists():
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=SHIPPED))
        return tuple(sources)
