"""The public keys of a service, from a PEM file or from its key set (`/.well-known/jwks.json`)."""

import hashlib
import json
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from .base64url import decode, encode

_MAX_BYTES = 1024 * 1024
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class PublicKeys:
    """Ed25519 keys by their id, the thumbprint of RFC 7638: what a key set says of ids is not believed."""

    def __init__(self, keys: list[Ed25519PublicKey]) -> None:
        self._keys = {_thumbprint(key): key for key in keys}

    @classmethod
    def read(cls, path: Path) -> "PublicKeys":
        """Reads public keys in PEM, or a JSON Web Key Set.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no Ed25519 public key.
        """
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{path} is too large for a file of keys")
        try:
            keys = _of_set(content) if content.lstrip()[:1] == b"{" else _of_pem(content)
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm, RecursionError) as error:
            raise ValueError(f"{path} cannot be read as public keys: {error!r}") from error
        if not keys:
            raise ValueError(f"{path} holds no Ed25519 public key, in PEM or as a JSON Web Key Set")
        return cls(keys)

    def verifies(self, kid: object, signature: bytes, data: bytes) -> bool | None:
        """Whether the key of this id has signed the data; None: there is no such key."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            return None
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def _of_set(content: bytes) -> list[Ed25519PublicKey]:
    found = json.loads(content)["keys"]
    return [
        Ed25519PublicKey.from_public_bytes(decode(key["x"].encode()))
        for key in found
        if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"
    ]


def _of_pem(content: bytes) -> list[Ed25519PublicKey]:
    keys = [load_pem_public_key(block.group(0)) for block in _PEM.finditer(content)]
    return [key for key in keys if isinstance(key, Ed25519PublicKey)]


def _thumbprint(key: Ed25519PublicKey) -> str:
    x = encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    return encode(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()).decode()
