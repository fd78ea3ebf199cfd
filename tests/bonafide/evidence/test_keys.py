import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bonafide.evidence.base64url import encode
from bonafide.evidence.keys import SigningKeys, thumbprint
from tests.bonafide.evidence.signing import key_file, private_pem, public_pem


def test_the_first_key_signs_and_all_are_published(tmp_path: Path) -> None:
    new, old, older = (Ed25519PrivateKey.generate() for _ in range(3))
    path = key_file(tmp_path / "key", private_pem(new), public_pem(old.public_key()), private_pem(older))
    keys = SigningKeys.read(path)
    new.public_key().verify(keys.sign(b"text"), b"text")
    published = keys.jwks()["keys"]
    assert [each["kid"] for each in published] == [thumbprint(each.public_key()) for each in (new, old, older)]
    assert published[0]["kid"] == keys.kid
    assert all(each.keys() == {"kty", "crv", "x", "kid", "alg", "use"} for each in published)


def test_the_id_is_the_thumbprint_of_rfc_8037() -> None:
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert thumbprint(Ed25519PublicKey.from_public_bytes(raw)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o644, 0o660, 0o666])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ValueError, match="permissions"):
        SigningKeys.read(key_file(tmp_path / "key", mode=mode))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_a_key_of_its_owner_is_read(tmp_path: Path, mode: int) -> None:
    assert SigningKeys.read(key_file(tmp_path / "key", mode=mode)).kid


def _wrong() -> dict[str, bytes]:
    key = Ed25519PrivateKey.generate()
    elliptic = generate_private_key(SECP256R1())
    return {
        "empty": b"\n",
        "text": b"no key at all",
        "public first": public_pem(key.public_key()),
        "another kind": elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "another kind after it": private_pem(key)
        + elliptic.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "encrypted": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        "damaged": private_pem(key).replace(b"MC4", b"MC5"),
        "huge": private_pem(key) + b"x" * 70_000,
    }


@pytest.mark.parametrize("content", _wrong().values(), ids=_wrong().keys())
def test_what_is_no_signing_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = key_file(tmp_path / "key", content)
    with pytest.raises(ValueError, match="key") as refused:
        SigningKeys.read(path)
    lines = [line for line in content.decode().splitlines() if len(line) > 20 and "-----" not in line]
    assert not any(line in str(refused.value) for line in lines)


def test_the_private_key_is_in_no_text_of_the_object(tmp_path: Path) -> None:
    keys = SigningKeys.read(key_file(tmp_path / "key"))
    assert "Private" not in repr(keys)
    assert encode(hashlib.sha256(b"").digest()).isascii()
