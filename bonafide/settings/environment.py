"""The environment as a source of settings, read without a look at what nobody has set."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource


class Environment(EnvSettingsSource):
    """As pydantic-settings reads it, for fields of one variable each: none is put together from several."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """The value of a variable; whether a field holds a list or a dict is asked only if there is one."""
        return None if value is None else super().prepare_field_value(field_name, field, value, value_is_complex)
