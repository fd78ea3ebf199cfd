"""Host names of a server, against DNS rebinding: a page can resolve its own name to 127.0.0.1, and is then same-origin.

Its browser still sends the page's name as `Host`. A page cannot send another one, or use an address as its name.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from bonafide.addresses import parse_ip
from bonafide.errors import Forbidden
from bonafide.security.exposure import is_public
from bonafide.settings import Settings

ANY = "*"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/\\@?#\[\]]+)(?::\d{0,5})?", re.IGNORECASE)


class AllowedHosts:
    """Refuses calls with a host name that is not the server's.

    Args:
        names: names and addresses besides those of loopback; None: all.
    """

    def __init__(self, names: Collection[str] | None) -> None:
        self._names = None if names is None or ANY in names else frozenset(map(_name, names))

    @classmethod
    def of_listener(cls, host: str, names: Collection[str] = ()) -> "AllowedHosts":
        """For a server that requires no key: checked where it listens on loopback.

        Args:
            host: where it listens.
            names: see the class.
        """
        return cls(None if is_public(host) else names)

    @classmethod
    def of_service(cls, host: str, settings: Settings) -> "AllowedHosts":
        """For the service: checked where names are configured, or where it listens on loopback and requires no key.

        A page has no key, and the names of a public server are unknown to it.

        Args:
            host: where HTTP listens.
            settings: the names, and whether callers must authenticate.
        """
        if not settings.allowed_hosts and (is_public(host) or settings.requires_authentication):
            return cls(None)
        signed = urlsplit(settings.twilio_url or "").hostname
        return cls([*settings.allowed_hosts, *([signed] if signed else [])])

    def require(self, hosts: Sequence[str], own: str | None) -> None:
        """Checks one call.

        Args:
            hosts: its `Host` headers; without one it comes from no browser.
            own: the address that its connection was made to, such as a pod's own; None: a unix socket.

        Raises:
            Forbidden: one of them names another server.
        """
        if self._names is None:
            return
        for host in hosts:
            name = _name(host)
            if not name or not (
                name in self._names or _is_loopback(name) or (own is not None and name == _name_of(own))
            ):
                raise Forbidden("the service is not called by this host name; BONAFIDE_ALLOWED_HOSTS lists its names")


def _name(host: str) -> str:
    """The part before the port, normalised; empty if malformed."""
    match = _HOST.fullmatch(host.strip())
    return _name_of(match[1].strip("[]")) if match else ""


def _name_of(host: str) -> str:
    try:
        return str(parse_ip(host))
    except ValueError:
        return host.lower().removesuffix(".")


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
