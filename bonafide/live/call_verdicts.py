"""Verdicts on phone calls by call id, until they expire: in memory, and in Redis for the other replicas."""

import json
import logging

from bonafide.cache.circuit_breaker import CircuitBreaker, CircuitOpen, GuardedStore
from bonafide.cache.key_value import KeyValueStore, StoreFailed
from bonafide.cache.memory import MemoryKeyValue
from bonafide.cache.seal import Seal, seal_of
from bonafide.live.call_streams import CallStreams
from bonafide.settings import Settings
from bonafide.settings.group import MIB

logger = logging.getLogger(__name__)

_MEMORY_BYTES = 64 * MIB
_PREFIX = "bonafide:call:"
_SHARED, _UNSHARED = b"s", b"u"
"""Before each document in this process's own store: whether the shared one has it too."""


class CallVerdicts:
    """JSON documents by call id. If the shared store fails, each process still has those of its own calls.

    The shared store is asked too: a call's audio may have begun again at another process. The newer document counts.

    Args:
        own: store of this process.
        shared: store of all replicas, if any; it bounds the time of its round trips.
        seal: authenticates what is shared; None: nothing does.

    Attributes:
        streams: which stream of a call its verdict is on.
    """

    def __init__(self, own: KeyValueStore, shared: KeyValueStore | None, seal: Seal | None = None) -> None:
        self._own = own
        self._shared = shared
        self._seal = seal
        self.streams = CallStreams()

    @classmethod
    def from_settings(cls, settings: Settings, breaker: CircuitBreaker | None = None) -> "CallVerdicts":
        """Built from the settings; opens no connection yet.

        Args:
            settings: of the service.
            breaker: shared by all stores in this Redis; None: the verdicts have their own.
        """
        ttl_s = settings.call_verdict_ttl_s
        shared = None
        if settings.redis is not None:
            from bonafide.cache.redis import RedisKeyValue  # as in cache.py

            redis = RedisKeyValue(settings.redis, settings.redis_timeout_s, ttl_s)
            shared = GuardedStore(redis, breaker or CircuitBreaker(settings.redis_timeout_s))
        secret = settings.cache_key.get_secret_value()
        return cls(MemoryKeyValue(_MEMORY_BYTES, ttl_s), shared, seal_of(secret) if secret else None)

    async def put(self, call_id: str, document: bytes) -> None:
        """Stores the newest document of a call."""
        key = _PREFIX + call_id
        await self._own.put_many([(key, _UNSHARED + document)])
        if self._shared is None:
            return
        try:
            await self._shared.put_many([(key, document if self._seal is None else self._seal.close(key, document))])
        except StoreFailed as error:
            _log("the verdict on a call is kept in this process only", error)
        else:
            await self._own.put_many([(key, _SHARED + document)])

    async def get(self, call_id: str) -> bytes | None:
        """The newest document of a call, or None."""
        key = _PREFIX + call_id
        (own,) = await self._own.get_many([key])
        kept = None if own is None else own[1:]
        shared = await self._of_all_replicas(key, kept)
        if shared is None or shared == kept or (own is not None and _is_newer(own, shared)):
            return kept
        return shared

    async def _of_all_replicas(self, key: str, kept: bytes | None) -> bytes | None:
        """What the shared store has; None also where it fails, or has what no replica stored.

        For most calls it is what this process has: of hours it is megabytes, which are not parsed then.
        """
        if self._shared is None:
            return None
        try:
            (document,) = await self._shared.get_many([key])
        except StoreFailed as error:
            _log("verdicts of other replicas cannot be read", error)
            return None
        if document is None:
            return None
        opened = document if self._seal is None else self._seal.open(key, document)
        if opened is None or (opened != kept and not _is_document(bytes(opened))):
            logger.warning("what Redis has under a call's key is no verdict")
            return None
        return bytes(opened)

    async def close(self) -> None:
        """Closes both stores."""
        await self._own.close()
        if self._shared is not None:
            await self._shared.close()


def _is_newer(own: bytes, shared: bytes) -> bool:
    """Whether what this process has is newer than what the shared store has, which may have lost it in a failover.

    Of two sessions clocks may differ: there what was shared later counts.
    """
    (mine, my_session), (theirs, their_session) = _written(own[1:]), _written(shared)
    is_of_one_session = my_session is not None and my_session == their_session
    return mine >= theirs and (own.startswith(_UNSHARED) or is_of_one_session)


def _written(document: bytes) -> tuple[float, object]:
    """When a document was written, in seconds since 1970, and in which session."""
    fields = json.loads(document)
    timestamp = fields.get("timestamp")
    return (timestamp if isinstance(timestamp, float) else 0.0), fields.get("request_id")


def _is_document(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False


def _log(text: str, error: StoreFailed) -> None:
    if not isinstance(error, CircuitOpen):  # the outage is in the log already
        logger.warning(text, extra={"cause": repr(error)})
