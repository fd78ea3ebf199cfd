"""One record: a compact JWS (RFC 7515, 8037), verified, as what it says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .base64url import decode
from .keys import PublicKeys
from .media import MediaDigest

TYPE = "bonafide-evidence+jws"
_FORM = 1


class EvidenceError(ValueError):
    """What was presented does not prove what it should; the message says why."""


@dataclass(frozen=True)
class Record:
    """What a service has signed.

    Attributes:
        text: the record as it was given out.
        payload: its content, see the service's docs/evidence.md.
    """

    text: bytes
    payload: Mapping[str, Any]

    @property
    def media(self) -> MediaDigest:
        """What was judged."""
        return MediaDigest(self.payload["media"]["sha256"], self.payload["media"]["bytes"])

    @property
    def place(self) -> tuple[str, int, str] | None:
        """Chain, number in it, and hash of the record before; None: it is in no log."""
        place = self.payload["log"]
        return None if place is None else (place["chain"], place["number"], place["previous"])

    def require_media(self, found: MediaDigest) -> None:
        """Refuses other media than were judged.

        Raises:
            EvidenceError: they differ.
        """
        if found != self.media:
            raise EvidenceError(
                f"the file is not what was judged: SHA-256 {found.sha256} of {found.length} bytes, "
                f"and the record is on {self.media.sha256} of {self.media.length} bytes"
            )


def verify_record(text: bytes, keys: PublicKeys) -> Record:
    """Verifies a record; one newline at its end is taken as a text file's.

    Raises:
        EvidenceError: it is none, not signed by one of the keys, or of a form that this release does not know.
    """
    text = text.removesuffix(b"\n")
    try:
        signed, _, last = text.rpartition(b".")
        first, second = signed.split(b".")
        header, signature = json.loads(decode(first)), decode(last)
        kind = (header["alg"], header["typ"], "crit" in header)
        kid = header["kid"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvidenceError("it is no record: three parts of base64url with a header are expected") from error
    if kind != ("EdDSA", TYPE, False):
        raise EvidenceError("it is no record of a Bonafide service, or of a kind that this release does not know")
    verified = keys.verifies(kid, signature, signed)
    if verified is None:
        raise EvidenceError(f"it names a key that is none of those given: {str(kid)[:64]!r}")
    if not verified:
        raise EvidenceError("the signature does not belong to what the record says")
    try:
        payload = json.loads(decode(second))
        record = Record(text, payload)
        known = payload["form"] == _FORM and record.media.length >= 0 and (record.place is None or record.place[1] >= 0)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvidenceError("it is signed, but not a record of a verdict") from error
    if not known:
        raise EvidenceError("the record is of a form that this release does not know")
    return record
