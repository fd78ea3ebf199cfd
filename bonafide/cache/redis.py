"""A key-value store in Redis or Valkey: one round trip for many keys, an expiry time on each of them."""

import os
from collections.abc import Sequence
from contextlib import suppress

import certifi
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from bonafide.addresses import REDIS_PORT, RedisServer
from bonafide.cache.key_value import StoreFailed


def connect(server: RedisServer, timeout_s: float) -> Redis:
    """A client that connects with its first command. Its caller bounds the time of each by cancelling it.

    Args:
        server: Where it listens, and who asks.
        timeout_s: Longest time to connect or to disconnect.
    """
    return Redis(
        host=server.host,
        port=server.port or REDIS_PORT,
        unix_socket_path=server.path,
        ssl=server.tls,
        ssl_ca_certs=(os.environ.get("SSL_CERT_FILE") or certifi.where()) if server.tls else None,
        username=server.username,
        password=server.password.get_secret_value() if server.password else None,
        db=server.db,
        socket_connect_timeout=timeout_s,
        # None: the caller bounds reads and writes, and the waits between them.
        socket_timeout=None,
        # The pool replaces connections that died while they were idle; beyond that, an outage is one.
        retry=Retry(NoBackoff(), 0),
        # With notifications on, redis-py no longer drops connections that hold unread answers.
        protocol=2,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        driver_info=None,
    )


async def leave_replica(redis: Redis, error: Exception) -> None:
    """Closes idle connections if a server has answered that it is a replica: the next command connects anew.

    After a failover its address stands for another server, but connections to the one before go on.

    Args:
        redis: That has asked.
        error: What it was answered.
    """
    # Servers before Redis 7 put what a script has failed of behind its name.
    if isinstance(error, ReadOnlyError | MasterDownError) or "READONLY" in str(error):
        with suppress(RedisError, OSError):  # one that cannot be closed in time is not used again either
            await redis.connection_pool.disconnect(inuse_connections=False)


class RedisKeyValue:
    """A `KeyValueStore` in Redis. Its caller bounds the time of each round trip by cancelling it.

    Args:
        server: Where it listens, and who asks.
        timeout_s: Longest time to connect or to disconnect.
        ttl_s: Seconds that an item is kept.
    """

    def __init__(self, server: RedisServer, timeout_s: float, ttl_s: int) -> None:
        self._ttl_s = ttl_s
        self._redis = connect(server, timeout_s)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `KeyValueStore.get_many`. A key that holds another type is not there."""
        try:
            values = await self._redis.mget(keys)
        except Exception as error:
            await leave_replica(self._redis, error)
            raise _failed(error) from error
        if not isinstance(values, list) or len(values) != len(keys):
            raise StoreFailed("an answer that is not the asked number of values")
        return [value if isinstance(value, bytes) else None for value in values]

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """See `KeyValueStore.put_many`."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, value in items:
                    pipeline.set(key, value, ex=self._ttl_s)
                # Not raised by redis-py, which would put the command and so the stored data into the text.
                answers = await pipeline.execute(raise_on_error=False)
        except Exception as error:
            raise _failed(error) from error
        for answer in answers:
            if isinstance(answer, Exception):
                await leave_replica(self._redis, answer)
                raise _failed(answer)
            if answer is not True:
                raise StoreFailed("an answer that is not OK")

    async def close(self) -> None:
        """See `KeyValueStore.close`."""
        await self._redis.aclose()


def _failed(error: Exception) -> StoreFailed:
    # Of any type: redis-py's errors on responses of a server that is not Redis are not defined.
    return StoreFailed(f"{type(error).__name__}: {error}")
