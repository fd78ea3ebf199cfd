"""The configuration of a socket in its address: `/ws/detect?encoding=alaw&sample_rate=8000`, for who sends no JSON."""

from collections.abc import Iterable

from pydantic import TypeAdapter, ValidationError

from bonafide.api.websocket_requests import Configure
from bonafide.errors import InvalidRequest

_INTERIM = "interim"
_NAMES = frozenset(Configure.model_fields) - {"type"} | {_INTERIM}
_BOOL = TypeAdapter(bool)


def configuration_of(query: Iterable[tuple[str, str]]) -> Configure | None:
    """The configuration that a query holds, as `config` would; None if it names none of its fields.

    `interim=true` is `results=push`, and `interim=false` is `results=reply`. Other names are skipped, as unknown fields
    of a message are: an exchange may add its own.

    Args:
        query: names and values, in order.

    Raises:
        InvalidRequest: a value that cannot be read, a name twice, or an `interim` that contradicts `results`.
    """
    values: dict[str, object] = {}
    for name, value in query:
        if name not in _NAMES:
            continue
        if name in values:
            raise InvalidRequest(f"the query names {name} twice")
        values[name] = value
    if not values:
        return None
    try:
        if _INTERIM in values:
            results = "push" if _BOOL.validate_python(values.pop(_INTERIM)) else "reply"
            if values.setdefault("results", results) != results:
                raise InvalidRequest("the query's interim and results contradict each other")
        return Configure.model_validate({"type": "config", **values})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else _INTERIM
        raise InvalidRequest(f"the query's {name}: {first['msg']}") from error
