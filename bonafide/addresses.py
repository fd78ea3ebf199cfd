"""Network addresses as operators write them in settings: `host`, `host:port`, `[::1]:6379`, `redis://...`.

Depends on nothing. No error's text contains the address, which may hold a password.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import SecretStr

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", re.ASCII)
REDIS_PORT = 6379
_REDIS_SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
"""Each with whether it is encrypted."""
_HINT = "characters like / ? # @ in a password are written as %2F %3F %23 %40"


@dataclass(frozen=True)
class Address:
    """A host, and the port if one was given.

    Attributes:
        host: a name, or an address of IPv4 or IPv6 without brackets.
        port: 1 to 65535, or None.
    """

    host: str
    port: int | None = None


@dataclass(frozen=True)
class RedisServer:
    """Where Redis or Valkey listens, and who asks.

    Attributes:
        host: a name or address; not used with `path`.
        port: 1 to 65535; None: not told, or not used because of `path`.
        path: of a unix socket, or None.
        tls: whether the connection is encrypted, and the server's certificate checked.
        username: None: the default user.
        password: None: no authentication.
        db: number of the database, 0 or more.
    """

    host: str = "localhost"
    port: int | None = None
    path: str | None = None
    tls: bool = False
    username: str | None = None
    password: SecretStr | None = None
    db: int = 0


def parse_address(text: str) -> Address:
    """Reads `host`, `host:port`, `::1`, `[::1]` or `[::1]:port`.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    if _is_ipv6(text):
        return Address(text)
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", text, re.DOTALL)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2]
        known = _is_ipv6(host)
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
        known = _NAME.fullmatch(host) is not None
    if not known:
        raise ValueError("must be a host or host:port, like redis, 10.0.0.1:6379 or [::1]:6379")
    return Address(host, None if port is None else _port(port))


def parse_netloc(text: str) -> Address:
    """Reads the host and port of a URL, where an IPv6 address needs brackets.

    Raises:
        ValueError: it is none.
    """
    if _is_ipv6(text):
        raise ValueError("must have brackets around an IPv6 address")
    return parse_address(text)


def parse_host(text: str) -> str:
    """Reads the host that a server listens on, without brackets: `127.0.0.1`, `::`, `[::]`, `localhost`.

    Raises:
        ValueError: it is no host, or has a port.
    """
    address = parse_address(text)
    if address.port is not None:
        raise ValueError("must be a host without a port, like 127.0.0.1, :: or localhost")
    return address.host


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Reads an address as a socket tells it: on `::` IPv4's 10.0.0.7 is `::ffff:10.0.0.7`, and read as IPv4's.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def join_address(host: str, port: int | None) -> str:
    """`host:port`, with brackets around an IPv6 address; without a port the host alone."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def parse_redis(text: str) -> RedisServer:
    """Reads `redis://`, `rediss://` (TLS) or `unix://`, each with `user:password@` if needed.

    The database is the path of a `redis://` URL, or `?db=N`.

    Raises:
        ValueError: it is none of these.
    """
    url = _split(text.strip())
    if url.scheme == "unix":
        if url.hostname or not url.path.startswith("/"):
            raise ValueError("must be unix:///path/of/the/socket")
        path = unquote(url.path)
        return RedisServer(path=path, username=_user(url), password=_password(url), db=_database(url, ""))
    if url.scheme not in _REDIS_SCHEMES:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    try:
        address = parse_netloc(url.netloc.rpartition("@")[2])
    except ValueError:
        raise ValueError(f"must have a host after the scheme, and a port up to 65535 if any; {_HINT}") from None
    return RedisServer(
        host=address.host,
        port=address.port,
        tls=_REDIS_SCHEMES[url.scheme],
        username=_user(url),
        password=_password(url),
        db=_database(url, url.path.strip("/")),
    )


def parse_endpoint(text: str) -> tuple[bool | None, str]:
    """Reads the address of an HTTP server: `host:port`, or `http://host:port` with no path.

    Returns:
        Whether it is `https` (None: no scheme), and `host:port`, with brackets around an IPv6 address.

    Raises:
        ValueError: it is neither.
    """
    text = text.strip()
    secure = None
    if "://" in text:
        url = _split(text)
        if url.scheme not in ("http", "https"):
            raise ValueError("must begin with http:// or https://, or be host:port")
        if "@" in url.netloc or url.path.strip("/") or url.query:
            raise ValueError("must be a scheme, a host and a port alone, without a user or a path")
        secure, address = url.scheme == "https", parse_netloc(url.netloc)
    else:
        address = parse_address(text)
    return secure, join_address(address.host, address.port)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError("must be a URL; an IPv6 address has brackets around it") from None
    if url.fragment:
        raise ValueError(f"must not have a #; {_HINT}")
    return url


def _user(url: SplitResult) -> str | None:
    return unquote(url.username) if url.username else None


def _password(url: SplitResult) -> SecretStr | None:
    return SecretStr(unquote(url.password)) if url.password else None


def _database(url: SplitResult, path: str) -> int:
    options = parse_qsl(url.query, keep_blank_values=True)
    if options and not (len(options) == 1 and options[0][0] == "db"):
        raise ValueError(f"must have no option but ?db=N; {_HINT}")
    wanted = {value for value in (path, options[0][1] if options else "") if value}
    if len(wanted) > 1 or not all(re.fullmatch("[0-9]{1,6}", value) for value in wanted):
        raise ValueError(f"must have the number of a database as its path, if any; {_HINT}")
    return int(wanted.pop()) if wanted else 0


def _port(text: str) -> int:
    if re.fullmatch("[0-9]{1,5}", text) is None or not 1 <= int(text) <= 65535:
        raise ValueError("must have a port from 1 to 65535")
    return int(text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
