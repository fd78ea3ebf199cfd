"""Rate limit per caller: a token bucket for each, refilled at a constant rate.

Not a library: those that refuse calls count in fixed windows, so that a caller can use two windows' calls at once,
and those with token buckets make the caller wait.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Bucket:
    per_minute: int
    tokens: float
    filled_at: float


class RateLimit:
    """Allows each caller a minute's calls at once, and then as many as the bucket is refilled with.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: str, per_minute: int) -> float:
        """Takes one call of a caller; returns 0, or the seconds until it would be admitted.

        Args:
            caller: a name out of a bounded set, since each is kept.
            per_minute: calls a minute, above 0; a changed one begins with a full bucket.
        """
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self._buckets[caller] = _Bucket(per_minute, per_minute, now)
        per_second = per_minute / 60
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.filled_at) * per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / per_second
        bucket.tokens -= 1
        return 0.0
