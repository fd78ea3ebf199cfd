"""Certificates for tests, made by the openssl command: an authority, and what it signs for 127.0.0.1."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Certificate:
    """Two PEM files."""

    cert: Path
    key: Path

    def replace(self, other: "Certificate") -> None:
        """Puts another certificate's content here, as a renewal does; the key is replaced after the certificate."""
        self.cert.write_bytes(other.cert.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


class Authority:
    """Signs certificates; `cert` is its own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *_EC, "-keyout", self._key, "-out", self.cert, "-days", "2", "-subj", f"/CN={name}")

    def sign(self, name: str) -> Certificate:
        """A certificate named `name`, for a server on 127.0.0.1 or a client."""
        cert, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        _openssl("req", *_EC, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                 "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key, "-CAcreateserial",
                 "-out", cert, "-days", "2", "-copy_extensions", "copy")  # fmt: skip
        return Certificate(cert, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
