"""Corrects BentoML's adaptive batching: no long waits learned from bursts, fewer polls of a busy engine.

The dispatcher averages how long past batches waited, and delays a single call by as much. After a burst that is
the whole queueing time: hundreds of milliseconds for a model of fifty, until fifty other batches have displaced the
burst from the average. And while a batch is computed it polls every millisecond whether it is done.
"""

from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

_log_outbound = Optimizer.log_outbound


def clamp_learned_wait(max_wait_s: float) -> None:
    """Makes every dispatcher of this process record at most `max_wait_s` seconds of wait per batch.

    Raises:
        ValueError: `max_wait_s` is not positive.
    """
    if max_wait_s <= 0:
        raise ValueError("max_wait_s must be positive")

    def log_outbound(self: Optimizer, n: int, wait: float, duration: float) -> None:
        _log_outbound(self, n, min(wait, max_wait_s), duration)

    Optimizer.log_outbound = log_outbound  # type: ignore[method-assign]


def set_poll_interval(interval_s: float) -> None:
    """Makes every dispatcher of this process poll at this interval whether its engine is free.

    On a CPU each poll takes time from the engine: BentoML's 1 ms costs some percent of it. The cost is half an
    interval between two batches.

    Raises:
        ValueError: `interval_s` is not positive.
    """
    if interval_s <= 0:
        raise ValueError("interval_s must be positive")
    CorkDispatcher.TICKET_INTERVAL = interval_s
