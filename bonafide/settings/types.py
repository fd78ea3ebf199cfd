"""Types of settings: what operators write is checked, and turned into what the service uses.

No error's text contains a secret.
"""

import base64
import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticUseDefault
from pydantic_settings import NoDecode

from bonafide.addresses import join_address, parse_address, parse_endpoint, parse_host, parse_redis
from bonafide.decision import Band
from bonafide.lists import parse_list

_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^\s/?#*]*/?", re.IGNORECASE)


def normal_origin(origin: str) -> str:
    """An origin as a browser or a setting writes it, in the form in which both are compared."""
    return origin.lower().rstrip("/")


def is_service_link(value: object) -> bool:
    """Whether it is an address that Kubernetes sets where an operator would set a port."""
    return isinstance(value, str) and value.startswith(("tcp://", "udp://", "sctp://"))


def _items(value: object) -> object:
    return parse_list(value) if isinstance(value, str) else value


def _ends(value: object) -> object:
    # `[0.2, 0.8]` is a JSON list of numbers, and those are no texts.
    return (parse_list(value.strip().strip("[]")) or None) if isinstance(value, str) else value


def _ordered(value: Band | None) -> Band | None:
    if value is not None and not 0.0 <= value.lower <= value.upper <= 1.0:
        raise ValueError("must be two scores from 0 to 1, the lower first, like 0.2,0.8")
    return value


def _one_port(value: object) -> object:
    return [value] if isinstance(value, int) else value  # YAML's `grpc_ports: 50051`


def _ports(value: tuple[int, ...]) -> tuple[int, ...]:
    if not all(0 <= port <= 65535 for port in value):
        raise ValueError("must be ports up to 65535, like 50051,50052")
    if len(set(value) - {0}) != len([port for port in value if port]):
        raise ValueError("must not have the same port twice")
    return value


def _not_linked(value: object) -> object:
    """Kubernetes sets the address of a service `bonafide-metrics` as `BONAFIDE_METRICS_PORT=tcp://10.0.0.2:9090`."""
    if is_service_link(value):
        raise PydanticUseDefault
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(each, strict=False)) for each in value)
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.5,10.1.0.0/16") from None


def _base64(value: SecretStr | None) -> SecretStr | None:
    try:
        is_long = value is None or len(base64.b64decode(value.get_secret_value(), validate=True)) >= 16
    except ValueError:
        is_long = False
    if not is_long:
        raise ValueError("must be base64 of 16 bytes or more")
    return value


def _with_a_host(value: str | None) -> str | None:
    try:
        has_host = value is None or bool(urlsplit(value).hostname)
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError("must be a URL like wss://voice.example.com/ws/twilio")
    return value


def _endpoint(value: str | None) -> str | None:
    if value is None:
        return None
    secure, address = parse_endpoint(value)
    return address if secure is None else f"{'https' if secure else 'http'}://{address}"


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _ = parse_redis(value.get_secret_value())
    return value


def _redis_host(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        text = value.get_secret_value()
        _ = parse_redis(text) if "://" in text else parse_address(text)
    return value


def _as_browsers_send_it(value: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [origin for origin in value if not _ORIGIN.fullmatch(origin)]:
        raise ValueError(f"must be origins like https://app.example.com, or null, not {wrong[0]}")
    return tuple(normal_origin(origin) for origin in value)


def _origins_of_http(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_ORIGIN.fullmatch(each) and each.lower().startswith(("http://", "https://")) for each in value):
        raise ValueError("must be origins like https://app.example.com")
    return tuple(normal_origin(origin) for origin in value)


def _names_alone(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if "/" in host or (host != "*" and "*" in host):
            raise ValueError(f"must be names like voice.example.com, not {host}")
    return tuple(host if host == "*" else join_address(parse_address(host).host, None) for host in value)


def _for_a_header(value: SecretStr) -> SecretStr:
    if (token := value.get_secret_value()) and not re.fullmatch(r"[!-~]{16,256}", token):
        raise ValueError("must be 16 to 256 printable ASCII characters without spaces")
    return value


def _long(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < 16:
        raise ValueError("must be 16 characters or more")
    return value


def _not_one(value: int) -> int:
    if value == 1:
        raise ValueError("must be 0 (chosen per engine) or at least 2")
    return value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
"""`a,b` or `["a", "b"]`."""
Origins = Annotated[Texts, AfterValidator(_as_browsers_send_it)]
HttpOrigins = Annotated[Texts, AfterValidator(_origins_of_http)]
HostNames = Annotated[Texts, AfterValidator(_names_alone)]
Networks = Annotated[Texts, AfterValidator(_networks)]
ScoreBand = Annotated[Band | None, NoDecode, BeforeValidator(_ends), AfterValidator(_ordered)]
"""`0.2,0.8`."""
Ports = Annotated[
    tuple[int, ...],
    NoDecode,
    BeforeValidator(_one_port),
    BeforeValidator(_items),
    BeforeValidator(_not_linked),
    AfterValidator(_ports),
]
LinkedPort = Annotated[int | None, BeforeValidator(_not_linked)]
"""A port that has its default where Kubernetes sets the variable to a service's address; so have `Ports`."""
ListeningHost = Annotated[str, AfterValidator(parse_host)]
PublicUrl = Annotated[str | None, AfterValidator(_with_a_host)]
Endpoint = Annotated[str | None, AfterValidator(_endpoint)]
"""`host:port`, or `https://host:port`."""
RedisUrl = Annotated[SecretStr | None, AfterValidator(_redis_url)]
RedisHost = Annotated[SecretStr | None, AfterValidator(_redis_host)]
"""A host, `host:port` or URL."""
Token = Annotated[SecretStr, AfterValidator(_for_a_header)]
LongKey = Annotated[SecretStr, AfterValidator(_long)]
Base64Secret = Annotated[SecretStr | None, AfterValidator(_base64)]
BatchSize = Annotated[int, AfterValidator(_not_one)]
