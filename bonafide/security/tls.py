"""TLS of the service's own ports: certificate, key and the callers' authority, from files that may be replaced."""

import logging
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bonafide.security.file_changes import LOOK_S, FileChanges
from bonafide.settings import Settings
from bonafide.settings.errors import naming

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TlsMaterial:
    """One consistent set: PEM bytes for gRPC, and the context made of the same files for HTTP.

    Attributes:
        client_ca: authorities whose certificates callers must have; None: callers need none.
    """

    context: ssl.SSLContext
    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


class ServerTls:
    """The newest consistent set of files. Thread-safe; used for each new connection.

    Args:
        cert: the chain of certificates, PEM.
        key: its private key, PEM.
        client_ca: authorities of the callers' certificates (mutual TLS), PEM.
        look_s: least seconds between two checks of the files.

    Raises:
        OSError: a file cannot be read, or the files are inconsistent.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None, look_s: float = LOOK_S) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._changes = FileChanges([path for path in (cert, key, client_ca) if path is not None], look_s)
        self._lock = threading.Lock()
        self._material = self._read()

    @classmethod
    def from_settings(cls, settings: Settings) -> "ServerTls | None":
        """Built from the settings; None: no TLS.

        Raises:
            WrongFile: a file cannot be read, or the files are inconsistent.
        """
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        authorities = () if settings.tls_client_ca is None else ("BONAFIDE_TLS_CLIENT_CA",)
        with naming("BONAFIDE_TLS_CERT", "BONAFIDE_TLS_KEY", *authorities):
            return cls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)

    @property
    def current(self) -> TlsMaterial:
        """For a connection that begins now. Files that are inconsistent or missing change nothing."""
        with self._lock:
            if self._changes.changed():
                try:
                    material = self._read()
                except OSError as error:
                    logger.error("the TLS files cannot be used; those known stay", extra={"cause": str(error)})
                    self._changes.failed(error)
                else:
                    if self._changes.is_read_whole():
                        self._material = material
                        logger.info("TLS files read again")
            return self._material

    def _read(self) -> TlsMaterial:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key, password=_refuse_passphrase)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        client_ca = None if self._client_ca is None else self._client_ca.read_bytes()
        return TlsMaterial(context, self._cert.read_bytes(), self._key.read_bytes(), client_ca)


def _refuse_passphrase() -> str:
    """OpenSSL would ask the terminal, of a running service too, and gRPC can be told none.

    Raises:
        SSLError: the private key is encrypted.
    """
    why = "the private key is encrypted with a passphrase; `openssl pkey` writes it without one"
    raise ssl.SSLError(ssl.SSL_ERROR_SSL, why)
