"""Checks whether other machines can reach the service, which then refuses to start without authentication."""

import ipaddress
import logging

from bonafide.settings import Settings

logger = logging.getLogger(__name__)


class UnprotectedError(Exception):
    """Other machines could call without authentication."""


def is_public(host: str) -> bool:
    """Whether other machines can reach a listener on `host`: an address or a name; `unix:` is a file."""
    if host.startswith("unix:") or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


def require_protection(http_host: str, settings: Settings) -> None:
    """Refuses public addresses without authentication.

    Args:
        http_host: where HTTP listens.
        settings: where gRPC and AudioSocket do, whether callers must authenticate, and whether another component
            does that.

    Raises:
        UnprotectedError: calls would be possible without authentication.
    """
    if (
        settings.audiosocket_port is not None
        and is_public(settings.audiosocket_host)
        and not (settings.audiosocket_networks or settings.allow_public)
    ):
        raise UnprotectedError(
            f"AudioSocket on {settings.audiosocket_host} can be reached by anybody, and its protocol has no key. Name "
            "the exchanges (BONAFIDE_AUDIOSOCKET_NETWORKS), or set BONAFIDE_ALLOW_PUBLIC=1 if a network policy or a "
            "firewall lets only them in."
        )
    listening = {"HTTP": http_host} | ({"gRPC": settings.grpc_host} if settings.grpc_ports else {})
    public = [f"{what} on {host}" for what, host in listening.items() if is_public(host)]
    if public and not (settings.requires_authentication or settings.allow_public):
        raise UnprotectedError(
            f"{' and '.join(public)} can be reached by anybody. Give callers keys (BONAFIDE_KEYS_FILE; "
            "`python -m bonafide.security.keys new NAME` makes one) or certificates (BONAFIDE_TLS_CLIENT_CA), or set "
            "BONAFIDE_ALLOW_PUBLIC=1 if something before the service asks who calls."
        )


def require_private(what: str, host: str, settings: Settings) -> None:
    """Refuses public addresses for a runner: BentoML unpickles request bodies there, which can run any code.

    Logs a warning for a runner that requires no token: any client of its port is then taken for the service.

    Raises:
        UnprotectedError: other machines could reach it.
    """
    if is_public(host) and not settings.allow_public:
        raise UnprotectedError(
            f"{what} on {host} can be reached by anybody, and runs what it is sent. Let it listen on 127.0.0.1, or set "
            "BONAFIDE_ALLOW_PUBLIC=1 if a network policy or a firewall lets only the service in."
        )
    if not settings.runner_token.get_secret_value():
        logger.warning(
            "%s asks for no token: what reaches its port runs code there. BONAFIDE_RUNNER_TOKEN, the same for the "
            "service and its runners, keeps others out.",
            what,
        )
