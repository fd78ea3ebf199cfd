"""Records and logs as a service writes them, for tests."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A service's key and its log."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.x = text(raw)
        self.kid = text(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'.encode()).digest())
        self.lines: list[str] = []

    def jwks(self) -> str:
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid}]})

    def pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, payload: Any, **header: Any) -> str:
        parts = [{"alg": "EdDSA", "kid": self.kid, "typ": "bonafide-evidence+jws", **header}, payload]
        signed = ".".join(text(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{text(self.key.sign(signed.encode()))}"

    def record(self, media: bytes, /, *, logged: bool = True, **changes: Any) -> str:
        """The next record of the log."""
        before = hashlib.sha256(self.lines[-1].encode()).hexdigest() if self.lines else "0" * 64
        payload = {
            "form": 1,
            "time": "2026-01-01T00:00:00.000Z",
            "request_id": "r-1",
            "task_id": "",
            "task": "voice",
            "source": "upload",
            "media": {"sha256": hashlib.sha256(media).hexdigest(), "bytes": len(media)},
            "model": {"name": "wavlm-peer", "version": "v1", "fingerprint": "v1-torch-cpu-fp32", "demo": True},
            "threshold": 0.5,
            "score": 0.35,
            "label": "bonafide",
            "windows": [[0.0, 4.0, 0.1, 0.75], [4.0, 8.0, 0.6, 0.75]],
            "log": {"chain": "c-1", "number": len(self.lines), "previous": before} if logged else None,
            **changes,
        }
        record = self.sign(payload)
        if logged:
            self.lines.append(record)
        return record

    def write(self, folder: Path, lines: list[str] | None = None) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / "c-1.000001.jws"
        path.write_text("".join(f"{line}\n" for line in self.lines if lines is None or line in lines))
        return path
