"""Whether a stranger could reach the service; it refuses to start before one could call it unasked."""

import ipaddress

from bonafide.settings import Settings


class UnprotectedError(Exception):
    """A start that would let strangers in."""


def is_public(host: str) -> bool:
    """Whether others than this machine can reach what listens on `host`: an address or a name; `unix:` is a file."""
    if host.startswith("unix:") or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


def require_protection(http_host: str, settings: Settings) -> None:
    """Allows only what is meant to be reached by others.

    Args:
        http_host: where HTTP listens.
        settings: where gRPC does, whether callers are asked who they are, and whether strangers are welcome.

    Raises:
        UnprotectedError: strangers could call.
    """
    listening = {"HTTP": http_host} | ({"gRPC": settings.grpc_host} if settings.grpc_ports else {})
    public = [f"{what} on {host}" for what, host in listening.items() if is_public(host)]
    if public and not (settings.asks_who_calls or settings.allow_public):
        raise UnprotectedError(
            f"{' and '.join(public)} can be reached by anybody. Give callers keys (BONAFIDE_KEYS_FILE; "
            "`python -m bonafide.security.keys new NAME` makes one) or certificates (BONAFIDE_TLS_CLIENT_CA), or set "
            "BONAFIDE_ALLOW_PUBLIC=1 if something before the service asks who calls."
        )


def require_private(what: str, host: str, settings: Settings) -> None:
    """Keeps a runner from strangers: BentoML unpickles what arrives there, so who reaches it runs code in it.

    Raises:
        UnprotectedError: strangers could reach it.
    """
    if is_public(host) and not settings.allow_public:
        raise UnprotectedError(
            f"{what} on {host} can be reached by anybody, and runs what it is sent. Let it listen on 127.0.0.1, or set "
            "BONAFIDE_ALLOW_PUBLIC=1 if a network policy or a firewall lets only the service in."
        )
