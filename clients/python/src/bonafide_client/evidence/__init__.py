"""Verifies the signed records of verdicts, offline. Needs the extra `bonafide-client[evidence]`."""

from .chain import Chain, verify_log
from .keys import PublicKeys
from .media import MediaDigest, digest_of_file
from .record import EvidenceError, Record, verify_record

__all__ = [
    "Chain",
    "EvidenceError",
    "MediaDigest",
    "PublicKeys",
    "Record",
    "digest_of_file",
    "verify_log",
    "verify_record",
]
