"""The settings of a process from its environment, or messages that name the errors in it."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bonafide.setting_files import dotenv_values, yaml_files, yaml_values
from bonafide.settings import Settings

_OTHERS = frozenset(
    f"BONAFIDE_{name}"
    for name in (
        "CONFIG",  # read before the settings
        *("ADDRESS", "API_KEY", "API_KEY_FILE", "CA", "CERT", "CERT_KEY", "LIVE_URL", "TLS"),  # of the clients
        *("DATA_DIR", "SPEECH_DIR", "LYRA_DIR", "IMAGE"),  # of training and the compose file
    )
)
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$")


class WrongSettings(Exception):
    """The process cannot start with this environment; the message names each variable."""


def read_settings(environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """The settings of this process.

    Args:
        environment: searched for names that no setting has; values are read from the process's own environment.
        given: settings by their names in the class, which win over all others.

    Raises:
        WrongSettings: an invalid value, a name that nothing reads, two values of one setting that differ, or a file
            that cannot be read.
    """
    try:
        files = list(_wrong_in_files())
        settings = Settings(**given)
    except ValidationError as error:
        raise WrongSettings("; ".join(_sentences(error))) from error
    except (OSError, ValueError) as error:  # of a file
        raise WrongSettings(str(error)) from error
    if wrong := [*files, *_unknown(environment), *_contradictory(environment), *_wrong_port(environment)]:
        raise WrongSettings("; ".join(wrong))
    return settings


def variables(name: str, field: FieldInfo) -> list[str]:
    """Names of a setting in the environment."""
    alias = field.validation_alias
    if alias is None:
        return [f"BONAFIDE_{name.upper()}"]
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _sentences(error: ValidationError) -> Iterator[str]:
    """A message for each wrong value, without the value, which may be a secret."""
    names = {name: variables(name, field)[0] for name, field in Settings.model_fields.items()}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        message = problem["msg"].removeprefix("Value error, ")
        where = str(problem["loc"][0]) if problem["loc"] else ""
        yield f"{names.get(where, where)}: {message}" if where else message


def _unknown(names: Iterable[str]) -> Iterator[str]:
    """Messages on `BONAFIDE_` names that nothing reads; a typo in a limit would otherwise disable it."""
    known = {each for name, field in Settings.model_fields.items() for each in variables(name, field)}
    for name in sorted(names):
        upper = name.upper()  # the case of a setting's name does not matter, that of the others does
        is_known = upper in known or name in _OTHERS or _SERVICE_LINK.search(upper)
        if upper.startswith("BONAFIDE_") and not is_known:
            yield _no_setting(name, known | _OTHERS)


def _wrong_in_files() -> Iterator[str]:
    """The same of each file, and on contradictions within it; YAML has the names of the settings' class too.

    Raises:
        ValueError: such a file is malformed.
    """
    dotenv = dotenv_values()
    yield from (f".env: {message}" for message in (*_unknown(dotenv), *_contradictory(dotenv)))
    known = set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        known.update(each for each in variables(name, field) if field.validation_alias is not None)
    for path in yaml_files():
        values = yaml_values(path)
        unknown = (_no_setting(name, known) for name in sorted(set(values) - known))
        yield from (f"{path}: {message}" for message in (*unknown, *_contradictory(values)))


def _no_setting(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(_plain(name), [_plain(each) for each in known], 1)
    shown = [each for each in sorted(known) if _plain(each) in nearest]
    return f"{name} is no setting{f'; did you mean {shown[0]}?' if shown else ''}"


def _plain(name: str) -> str:
    return name.lower().removeprefix("bonafide_")


def _contradictory(source: Mapping[str, Any]) -> Iterator[str]:
    """Messages on settings that have two names, or are spelt in two ways, and a different value under each."""
    spelt: dict[str, list[str]] = {}
    for each, value in source.items():
        if value not in (None, ""):
            spelt.setdefault(each.upper(), []).append(each)
    for name, field in Settings.model_fields.items():
        given = [each for variable in variables(name, field) for each in spelt.get(variable, ())]
        if len(given) > 1 and any(_read(source[each], field) != _read(source[given[0]], field) for each in given[1:]):
            yield f"{' and '.join(given)} are both set, and differ"


def _read(value: Any, field: FieldInfo) -> object:
    """The value as the setting's type; an invalid one, which is not the one in use, stays as it is."""
    try:
        return TypeAdapter[Any](field.annotation).validate_python(value)  # type: ignore[arg-type]
    except ValidationError:
        return value


def _wrong_port(environment: Mapping[str, str]) -> Iterator[str]:
    """A message on an HTTP port that does not exist: BentoML would listen on its last 16 bits."""
    port = environment.get("BENTOML_PORT", "")
    if port.isdecimal() and int(port) > 65535:
        yield "BENTOML_PORT: must be a port up to 65535"
