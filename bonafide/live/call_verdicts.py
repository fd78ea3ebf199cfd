"""Verdicts on phone calls by call id, for as long as they are kept: in memory, and in Redis for the other replicas."""

import asyncio
import logging

from bonafide.cache.key_value import KeyValueStore, StoreFailed
from bonafide.cache.memory import MemoryKeyValue
from bonafide.cache.redis import RedisKeyValue
from bonafide.settings import MIB, Settings

logger = logging.getLogger(__name__)

_MEMORY_BYTES = 64 * MIB
_PREFIX = "bonafide:call:"


class CallVerdicts:
    """JSON documents by call id. A shared store that fails is no error: this process still knows its own calls.

    Args:
        own: of this process.
        shared: of all replicas, if any.
        timeout_s: longest time of one round trip to the shared one.
    """

    def __init__(self, own: KeyValueStore, shared: KeyValueStore | None, timeout_s: float) -> None:
        self._own = own
        self._shared = shared
        self._timeout_s = timeout_s

    @classmethod
    def from_settings(cls, settings: Settings) -> "CallVerdicts":
        """What the settings say; connects to nothing yet."""
        ttl_s = settings.call_verdict_ttl_s
        shared = None
        if settings.redis_host:
            shared = RedisKeyValue(
                settings.redis_host, settings.redis_port, settings.redis_password, settings.redis_timeout_s, ttl_s
            )
        return cls(MemoryKeyValue(_MEMORY_BYTES, ttl_s), shared, settings.redis_timeout_s)

    async def put(self, call_id: str, document: bytes) -> None:
        """Keeps the newest document of a call."""
        await self._own.put_many([(_PREFIX + call_id, document)])
        if self._shared is not None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._shared.put_many([(_PREFIX + call_id, document)])
            except (StoreFailed, TimeoutError) as error:
                logger.warning("the verdict on a call is kept in this process only", extra={"cause": repr(error)})

    async def get(self, call_id: str) -> bytes | None:
        """The newest document of a call, or None."""
        (document,) = await self._own.get_many([_PREFIX + call_id])
        if document is None and self._shared is not None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    (document,) = await self._shared.get_many([_PREFIX + call_id])
            except (StoreFailed, TimeoutError) as error:
                logger.warning("verdicts of other replicas cannot be read", extra={"cause": repr(error)})
        return document

    async def close(self) -> None:
        """Lets connections go."""
        await self._own.close()
        if self._shared is not None:
            await self._shared.close()
