"""Telemetry: structured logs, Prometheus metrics, OpenTelemetry spans; `observed` binds them to a call.

Callers' media are never logged. Metrics are exported on BentoML's `/metrics` of the service.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import structlog
from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

from bonafide.calls import Call
from bonafide.errors import BonafideError, Internal

logger = logging.getLogger(__name__)

_TRANSPORT: ContextVar[str] = ContextVar("transport", default="")

LOGGERS = ("bonafide", "models", "lab")
_BENTOML_HANDLER = "tracehandler"
"""Name of the one handler of BentoML's servers, for its own loggers, uvicorn's, circus' and all others."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

CALLS = Counter(
    "bonafide_calls_total",
    "Calls by transport, method and outcome (ok, cancelled, or an error code).",
    ["transport", "method", "code"],
)
CALL_SECONDS = Histogram(
    "bonafide_call_seconds", "Time of a call until its last byte.", ["transport", "method"], buckets=_SECONDS
)
ACTIVE_CALLS = Gauge(
    "bonafide_active_calls", "Calls admitted and not yet answered.", ["runner"], multiprocess_mode="livesum"
)
RUNNER_REPLICAS = Gauge(
    "bonafide_runner_replicas", "Processes of a runner that serve.", ["runner"], multiprocess_mode="livemax"
)
INFERENCE_SECONDS = Histogram(
    "bonafide_inference_seconds",
    "Time of the engine for the batch an item was in.",
    ["runner"],
    buckets=_SECONDS,
)
QUEUE_SECONDS = Histogram(
    "bonafide_queue_seconds",
    "Time from handing items to the runner to its answer, less the engine's time.",
    ["runner"],
    buckets=_SECONDS,
)
BATCH_ITEMS = Histogram(
    "bonafide_batch_items",
    "Items in the batch an answer came from.",
    ["runner"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
CHUNKS = Counter("bonafide_chunks_total", "Windows judged, by where the score came from.", ["source"])
CACHE_FAILURES = Counter("bonafide_cache_failures_total", "Cache operations given up because the cache failed.")
LIVE_SESSIONS = Gauge("bonafide_live_sessions", "Live sessions that are open.", multiprocess_mode="livesum")
LIVE_WINDOWS = Counter(
    "bonafide_live_windows_total", "Windows of live sessions, by outcome (judged, unjudged).", ["outcome"]
)
LIVE_SECONDS = Histogram(
    "bonafide_live_seconds", "From the audio that completes a window to its verdict.", buckets=_SECONDS
)
WEBHOOKS = Counter(
    "bonafide_webhooks_total",
    "Verdicts posted, by outcome (delivered, refused, failed, dropped).",
    ["outcome"],
)
SCORES = Histogram(
    "bonafide_score",
    "Scores of windows and photos that were answered.",
    ["task", "version", "transport", "codec"],
    buckets=tuple(step / 20 for step in range(1, 21)),
)
SCORE_DRIFT = Gauge(
    "bonafide_score_drift",
    "Population stability index of the most recent scores and those that the model was calibrated on.",
    ["task", "version", "transport", "codec"],
    multiprocess_mode="livemax",
)
FEEDBACK_FAILURES = Counter("bonafide_feedback_failures_total", "Verdicts that could not be kept for feedback.")
EVIDENCE = Counter(
    "bonafide_evidence_records_total",
    "Records of verdicts, by outcome: kept, unkept (signed, but not in the log), refused (with the verdict).",
    ["outcome"],
)
SHADOW_VERDICTS = Counter(
    "bonafide_shadow_verdicts_total",
    "Recordings, live sessions and photos of a shadow's share: agreed, changed (another label), failed, dropped (no "
    "room), cached (scores without windows).",
    ["runner", "outcome"],
)
SHADOW_SCORES = Histogram(
    "bonafide_shadow_score",
    "The shadow's scores of windows and photos.",
    ["runner"],
    buckets=tuple(step / 20 for step in range(1, 21)),
)
SHADOW_DIFFERENCES = Histogram(
    "bonafide_shadow_difference",
    "The shadow's score of a window or photo less the one that was answered.",
    ["runner"],
    buckets=(-0.5, -0.3, -0.2, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
)
JOB_ITEMS = Counter(
    "bonafide_job_items_total",
    "Recordings of jobs, by outcome: done, failed (an error instead of a verdict), returned (for another process).",
    ["outcome"],
)
JOBS_WAITING = Gauge(
    "bonafide_job_items_waiting", "Recordings of jobs that have no outcome yet.", multiprocess_mode="livemax"
)


class Measurements:
    """Records the observations of use cases and runners as metrics."""

    def batch(self, runner: str, items: int, total_s: float, inference_s: float, batch_size: int) -> None:
        """See `bonafide.runner.runner.RunnerObserver`."""
        INFERENCE_SECONDS.labels(runner).observe(inference_s)
        QUEUE_SECONDS.labels(runner).observe(max(0.0, total_s - inference_s))
        BATCH_ITEMS.labels(runner).observe(batch_size)

    def calls(self, runner: str, active: int) -> None:
        """See `bonafide.runner.runner.RunnerObserver`."""
        ACTIVE_CALLS.labels(runner).set(active)

    def replicas(self, runner: str, serving: int) -> None:
        """See `bonafide.runner.runner.RunnerObserver`."""
        RUNNER_REPLICAS.labels(runner).set(serving)

    def chunks(self, *, scored: int, cached: int) -> None:
        """See `bonafide.voice.VoiceObserver`."""
        CHUNKS.labels("runner").inc(scored)
        CHUNKS.labels("cache").inc(cached)

    def live_sessions(self, active: int) -> None:
        """See `bonafide.live.registry.LiveObserver`."""
        LIVE_SESSIONS.set(active)

    def live_windows(self, judged: int, unjudged: int, seconds: float) -> None:
        """See `bonafide.live.scoring.StreamObserver`."""
        LIVE_WINDOWS.labels("judged").inc(judged)
        LIVE_WINDOWS.labels("unjudged").inc(unjudged)
        if judged:
            LIVE_SECONDS.observe(seconds)

    def shadow(self, task: str, outcome: str, count: int = 1) -> None:
        """See `bonafide.shadow.comparisons.ShadowObserver`."""
        SHADOW_VERDICTS.labels(task, outcome).inc(count)

    def shadow_score(self, task: str, served: float, shadow: float) -> None:
        """See `bonafide.shadow.comparisons.ShadowObserver`."""
        SHADOW_SCORES.labels(task).observe(shadow)
        SHADOW_DIFFERENCES.labels(task).observe(shadow - served)

    def score(self, labels: tuple[str, str, str, str], score: float) -> None:
        """See `bonafide.drift.watch.DriftObserver`."""
        SCORES.labels(*labels).observe(score)

    def drift(self, labels: tuple[str, str, str, str], distance: float) -> None:
        """See `bonafide.drift.watch.DriftObserver`."""
        SCORE_DRIFT.labels(*labels).set(distance)

    def job_item(self, outcome: str) -> None:
        """See `bonafide.jobs.worker.WorkerObserver`."""
        JOB_ITEMS.labels(outcome).inc()

    def jobs_waiting(self, items: int) -> None:
        """See `bonafide.jobs.worker.WorkerObserver`."""
        JOBS_WAITING.set(items)

    def feedback_failed(self) -> None:
        """Counts a verdict that could not be kept for feedback."""
        FEEDBACK_FAILURES.inc()

    def cache_failed(self) -> None:
        """Counts a cache operation that was given up."""
        CACHE_FAILURES.inc()


def current_transport() -> str:
    """The transport of the running call; empty outside of one."""
    return _TRANSPORT.get()


def bind_task(task_id: str) -> None:
    """Adds the caller's task id to the log lines and the span of the running call."""
    structlog.contextvars.bind_contextvars(task_id=task_id)
    trace.get_current_span().set_attribute("bonafide.task_id", task_id)


def bind_caller(caller: str) -> None:
    """Adds the caller to the log lines of the running call, unless the name is empty."""
    if caller:
        structlog.contextvars.bind_contextvars(caller=caller)


def refused(transport: str, method: str, call: Call, error: BonafideError) -> None:
    """Counts and logs a call that was not admitted."""
    with structlog.contextvars.bound_contextvars(request_id=call.request_id):
        _ended(transport, method, error.code.value, 0.0, logging.WARNING)


def _ended(transport: str, method: str, code: str, seconds: float, level: int) -> None:
    CALLS.labels(transport, method, code).inc()
    CALL_SECONDS.labels(transport, method).observe(seconds)
    trace.get_current_span().set_attribute("bonafide.code", code)
    extra = {"transport": transport, "method": method, "code": code, "seconds": round(seconds, 4)}
    logger.log(level, "call", extra=extra)


@asynccontextmanager
async def observed(transport: str, method: str, call: Call, level: int = logging.INFO) -> AsyncIterator[None]:
    """Binds the call's ids to all log lines and the current span, counts and times it, and logs its outcome.

    Args:
        transport: "grpc", "http", "websocket" or "audiosocket"; see `current_transport`.
        method: name on the wire.
        call: its ids.
        level: of the log line when the call succeeds.

    Raises:
        BonafideError: unchanged; any other exception becomes `Internal`, its traceback only in the log.
    """
    began = time.perf_counter()
    code = "ok"
    _TRANSPORT.set(transport)
    trace.get_current_span().set_attribute("bonafide.request_id", call.request_id)
    with structlog.contextvars.bound_contextvars(request_id=call.request_id, task_id=""):
        try:
            bind_task(call.task_id)
            yield
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        except BonafideError as error:
            code = error.code.value
            level = logging.ERROR if isinstance(error, Internal) else logging.WARNING
            if isinstance(error, Internal):
                logger.error("call failed", exc_info=error)
            raise
        except Exception as error:
            code, level = Internal.code.value, logging.ERROR
            logger.exception("call failed")
            raise Internal(f"internal error; see the log for request {call.request_id}") from error
        finally:
            _ended(transport, method, code, time.perf_counter() - began, level)


def configure_logging(level: str, style: str) -> None:
    """Sends the service's loggers to standard output; in JSON, those of BentoML's servers have the same lines.

    Args:
        level: a name of `logging`.
        style: "json" (one object a line), "console", or "auto": console on a terminal.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.EventRenamer("message"),
    ]
    console = style == "console" or (style == "auto" and sys.stdout.isatty())
    final: list[structlog.typing.Processor] = (
        # Its own choice where `rich` is installed shows the variables of each frame: media, windows and keys.
        [structlog.dev.ConsoleRenderer(event_key="message", exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form is its sender's to know
    for name in LOGGERS:
        ours = logging.getLogger(name)
        ours.handlers = [handler]
        ours.setLevel(level)
        ours.propagate = False
    for theirs in logging.getLogger("bentoml").handlers:
        if theirs.name == _BENTOML_HANDLER and not console:
            theirs.filters.clear()  # they add fields for BentoML's format
            theirs.setFormatter(formatter)
