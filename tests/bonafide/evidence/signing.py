"""Keys and records for tests."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bonafide.decision import Answer
from bonafide.evidence.judgement import Judgement
from bonafide.media_digest import digest_of
from bonafide.verdict import WindowVerdict
from tests.bonafide.fakes import MODEL


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_file(path: Path, *blocks: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(b"".join(blocks) or private_pem(Ed25519PrivateKey.generate()))
    path.chmod(mode)
    return path


def part(record: str, index: int) -> dict[str, Any]:
    text = record.split(".")[index]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return value


def payload(record: str) -> dict[str, Any]:
    return part(record, 1)


def judgement(media: bytes = b"media") -> Judgement:
    window = WindowVerdict(0, 0.0, 4.0, 4.0, score=0.25, label="bonafide", speech_ratio=0.5, weight=2.0)
    answer = Answer("uncertain", -1.5, partially_spoofed=True, conditions=("noise",))
    return Judgement(
        "upload",
        digest_of(media),
        MODEL,
        0.5,
        0.25,
        "bonafide",
        (window,),
        answer=answer,
        hop_seconds=2.0,
        channel_mode="separate",
        channel="caller",
    )
