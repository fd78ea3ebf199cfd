"""The keys that records are signed with: Ed25519, from one PEM file whose first key signs.

The keys after the first, private or public, are those that signed before: they are published, so that older records can
be verified. A key's id is its thumbprint (RFC 7638).
"""

import hashlib
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bonafide.evidence.base64url import encode

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_MAX_BYTES = 64 * 1024
_ALLOWED = stat.S_IRWXU | stat.S_IRGRP
"""Permissions that the file may have: its owner's, and to be read by its group, as mounted secrets are."""


@dataclass(frozen=True)
class SigningKeys:
    """The key in use, and all that are published.

    Attributes:
        kid: id of the key in use.
        published: public keys, that in use first.
    """

    kid: str
    published: tuple[Ed25519PublicKey, ...]
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "SigningKeys":
        """Reads the PEM file.

        Raises:
            OSError: it cannot be read.
            ValueError: others than its owner may use it, or it holds no Ed25519 keys of which the first is private. The
                message contains nothing of the file.
        """
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & ~_ALLOWED:
                raise ValueError(f"{path} has permissions {mode:04o}: others may use the key; chmod 600 forbids it")
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{path} has more than {_MAX_BYTES} bytes, and is no file of keys")
        keys = [_loaded(block.group(0), path) for block in _BLOCK.finditer(content)]
        if not keys or not isinstance(first := keys[0], Ed25519PrivateKey):
            raise ValueError(f"{path} must begin with the private key that signs (PEM, Ed25519)")
        public = tuple(key.public_key() if isinstance(key, Ed25519PrivateKey) else key for key in keys)
        return cls(thumbprint(public[0]), public, first)

    def sign(self, data: bytes) -> bytes:
        """The signature of the key in use, 64 bytes."""
        return self._private.sign(data)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517, 8037)."""
        return jwks(self.published)


def jwks(keys: Sequence[Ed25519PublicKey]) -> dict[str, Any]:
    """A JSON Web Key Set of public keys."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": _x(key), "kid": thumbprint(key), "alg": "EdDSA", "use": "sig"}
            for key in keys
        ]
    }


def thumbprint(key: Ed25519PublicKey) -> str:
    """The id of a key: SHA-256 of its required members, base64url (RFC 7638)."""
    return encode(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{_x(key)}"}}'.encode()).digest())


def _x(key: Ed25519PublicKey) -> str:
    return encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _loaded(pem: bytes, path: Path) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem) if b"BEGIN PUBLIC KEY" in pem else load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} holds a key that cannot be read: encrypted, damaged, or none") from None
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise ValueError(f"{path} holds a key of another kind than Ed25519")
    return key
