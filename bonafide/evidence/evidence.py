"""Evidence of verdicts: a judgement in, its signed record out, which is in the log by then."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bonafide.calls import Call
from bonafide.errors import Unavailable
from bonafide.evidence.judgement import Judgement
from bonafide.evidence.jws import signed
from bonafide.evidence.keys import SigningKeys
from bonafide.evidence.log import EvidenceLog, Place
from bonafide.evidence.record import payload_of
from bonafide.settings import Settings
from bonafide.settings.errors import naming
from bonafide.telemetry import EVIDENCE

logger = logging.getLogger(__name__)


class Evidence:
    """Signs records and keeps them; see `Records`.

    Args:
        keys: that sign.
        log: where the records are kept.
        required: whether a verdict whose record cannot be kept is refused; else it has a record without a place.
    """

    def __init__(self, keys: SigningKeys, log: EvidenceLog, *, required: bool) -> None:
        self._keys = keys
        self._log = log
        self._required = required
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evidence")  # one: records have an order

    @classmethod
    def from_settings(cls, settings: Settings) -> "Evidence | None":
        """Built from the settings; None: there is no key.

        Raises:
            WrongFile: the key or the log's folder cannot be used.
        """
        if settings.evidence_key is None or settings.evidence_log is None:
            return None
        with naming("BONAFIDE_EVIDENCE_LOG"):
            log = EvidenceLog(
                settings.evidence_log, max_bytes=settings.evidence_log_max_bytes, sync=settings.evidence_fsync
            )
        with naming("BONAFIDE_EVIDENCE_KEY"):
            keys = SigningKeys.read(settings.evidence_key)
        return cls(keys, log, required=settings.evidence_required)

    def jwks(self) -> dict[str, Any]:
        """The public keys, see `SigningKeys.jwks`."""
        return self._keys.jwks()

    async def record(self, judgement: Judgement, call: Call) -> str:
        """See `Records`."""
        payload = payload_of(judgement, call, time.time())
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._kept, payload)

    def _kept(self, payload: dict[str, Any]) -> str:
        def placed(place: Place) -> str:
            where = {"chain": place.chain, "number": place.number, "previous": place.previous}
            return signed({**payload, "log": where}, self._keys)

        try:
            record = self._log.append(placed)
        except OSError as error:
            EVIDENCE.labels("refused" if self._required else "unkept").inc()
            logger.error("the record of a verdict cannot be kept", extra={"cause": str(error)})
            if self._required:
                raise Unavailable("the evidence of the verdict cannot be kept, try again later") from error
            return signed({**payload, "log": None}, self._keys)
        EVIDENCE.labels("kept").inc()
        return record

    async def close(self) -> None:
        """Waits for records that are being kept, and closes the log."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._log.close)
        self._thread.shutdown(wait=False)
