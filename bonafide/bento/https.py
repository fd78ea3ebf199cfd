"""HTTPS: BentoML reads the certificate once, and by default allows TLS 1.2 only the ciphers of TLS 1.0.

Its servers make their context in `uvicorn.config.create_ssl_context`; its replacement here gives each
connection the newest.
"""

import ssl
from typing import Any

import uvicorn.config

from bonafide.bento.startup import refusal_to_start
from bonafide.security.tls import ServerTls
from bonafide.settings import Settings
from bonafide.settings.errors import WrongFile


class NewestContext(ssl.SSLContext):
    """A context that hands each new connection to the newest context."""

    tls: ServerTls

    @classmethod
    def of(cls, tls: ServerTls) -> "NewestContext":
        """A context for the newest of these files."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.tls = tls
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """See `ssl`; event loops call it once for each connection."""
        return self.tls.current.context.wrap_bio(*arguments, **options)


def https_options(settings: Settings) -> dict[str, Any]:
    """The `ssl` part of a BentoML service's configuration."""
    if settings.tls_cert is None:
        return {}
    return {"ssl": {"enabled": True, "certfile": str(settings.tls_cert), "keyfile": str(settings.tls_key)}}


def serve_newest_certificate(settings: Settings) -> None:
    """Makes the HTTP server of this process, which is not there yet, take the newest files with each connection."""

    def create_ssl_context(*_arguments: Any, **_options: Any) -> ssl.SSLContext:
        with refusal_to_start(WrongFile):
            tls = ServerTls.from_settings(settings)
        assert tls is not None  # noqa: S101 - BentoML calls it only with a certificate
        return NewestContext.of(tls)

    uvicorn.config.create_ssl_context = create_ssl_context
