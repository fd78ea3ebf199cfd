"""What BentoML serves: two runners that score, and the service that takes calls. Composition only.

`bentoml serve` in this folder starts all three, each in a process of its own.
"""

import logging
import time
from collections.abc import Callable
from typing import Annotated, Any

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.validators import ContentType
from starlette.applications import Starlette

from bonafide.api.hosts import HostGate
from bonafide.api.origins import AllowedPages
from bonafide.api.runner_security import RunnerGate
from bonafide.api.security import KeyGate
from bonafide.api.twilio_signature import TWILIO_PATH
from bonafide.audio.windows import MAX_FOR_ONE
from bonafide.bento.batching import clamp_learned_wait, set_poll_interval
from bonafide.bento.environment import prepare_environment
from bonafide.bento.https import https_options, serve_newest_certificate
from bonafide.bento.listening import http_host
from bonafide.bento.metrics import metrics
from bonafide.bento.priority import lower_priority
from bonafide.bento.server import bound_servers
from bonafide.bento.shutdown import IdleDrain
from bonafide.bento.startup import refusal_to_start
from bonafide.bento.supervisor import secure_supervisor
from bonafide.bento.timeouts import cancel_request_timers
from bonafide.environment import WrongSettings, read_settings
from bonafide.runner.remote import RunnerResult
from bonafide.security.exposure import UnprotectedError, require_private, require_protection
from bonafide.security.hosts import AllowedHosts
from bonafide.telemetry import configure_logging
from models.batch_sizes import batch_size
from models.devices import cuda_is_available
from models.errors import ModelError
from models.info import Device, ModelInfo

logger = logging.getLogger("bonafide.service")

# Every process of the service imports this file, also the supervisor, which only starts the others. What one kind of
# process needs is therefore imported by its class: models by the runners, transports and use cases by the service.

try:
    SETTINGS = read_settings()
except WrongSettings as error:
    raise SystemExit(f"Bonafide cannot start: {error}") from None
# As the engines decide for themselves; BentoML needs to know before they are loaded. Of use in the runners alone: a
# service on another machine takes the sizes from its runners.
DEVICE: Device = "cuda" if SETTINGS.engine != "openvino" and cuda_is_available() else "cpu"
VOICE_BATCH = batch_size("voice", DEVICE, SETTINGS.voice_max_batch)
FACE_BATCH = batch_size("face", DEVICE, SETTINGS.face_max_batch)
NO_ACCESS_LOG: Any = {"access": {"enabled": False}}  # the service's own log has a line for each call, with its ids
# Given here, or BentoML makes a JSON schema for each response to find it.
Results = Annotated[list[Any], ContentType("application/json")]
Description = Annotated[dict[str, Any], ContentType("application/json")]
RUNNER: Any = {
    "workers": 1,
    "traffic": {"timeout": SETTINGS.call_timeout_s},  # the callers' deadlines are shorter
    # BentoML would close the connection every 100 requests, and with it the calls in flight.
    "runner_connection": {"max_requests": 2**31, "max_age": 1e9},
    "logging": NO_ACCESS_LOG,
    "http": {"host": "127.0.0.1"},
}

SHARED_PORTS = [(SETTINGS.grpc_host, SETTINGS.grpc_ports)]
if SETTINGS.metrics_port:
    SHARED_PORTS.append((SETTINGS.metrics_host, (SETTINGS.metrics_port,)))
RUNNER_TOKEN = SETTINGS.runner_token.get_secret_value()

prepare_environment()
secure_supervisor(RUNNER_TOKEN, SHARED_PORTS if SETTINGS.workers > 1 else ())
clamp_learned_wait(SETTINGS.batch_max_wait_ms / 1000)
set_poll_interval(0.001 if DEVICE == "cuda" else 0.004)
cancel_request_timers()
serve_newest_certificate(SETTINGS)
bound_servers(SETTINGS)


class Scorer:
    """Common part of the runners.

    Args:
        info: the model; None: there is none, and no item is sent.
        judge: returns plain numbers for each item, NaN for one that cannot be judged.
    """

    def __init__(self, info: ModelInfo | None, judge: Callable[[list[Any]], list[Any]]) -> None:
        self._info = info
        self._fingerprint = info.fingerprint if info else ""
        self._judge = judge
        self._idle_drain = IdleDrain(SETTINGS.drain_s)

    def install_drain(self) -> None:
        """Installs the signal handlers that delay the exit. Must be called on the event loop."""
        self._idle_drain.install()

    def score(self, items: list[Any]) -> list[RunnerResult]:
        """The result of each item, with the seconds and the size of its batch."""
        self._idle_drain.touch()
        began = time.perf_counter()
        judged = self._judge(items)
        seconds = time.perf_counter() - began
        self._idle_drain.touch()
        return [RunnerResult(each, seconds, len(items), self._fingerprint) for each in judged]

    def info(self) -> dict[str, Any]:
        """The model's description; empty without a model."""
        self._idle_drain.touch()
        return self._info.to_dict() if self._info else {}


@bentoml.service(name="WavLMRunner", **RUNNER)
class WavLMRunner:
    """Scores windows of speech: int16 (samples,) at 16 kHz -> the numbers of a `WindowScore`."""

    def __init__(self) -> None:
        from models.configured import WindowScorer, load_options

        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        with refusal_to_start(UnprotectedError, ModelError):
            require_private("WavLMRunner", http_host(), SETTINGS)
            scorer = WindowScorer.load(SETTINGS.voice_model, load_options("voice", SETTINGS))
        self.scorer = Scorer(scorer.info, lambda windows: [each.numbers for each in scorer.score(windows)])

    @bentoml.on_startup
    async def started(self) -> None:
        """Installs the signal handlers of the drain."""
        self.scorer.install_drain()

    @bentoml.api(batchable=True, max_batch_size=VOICE_BATCH * MAX_FOR_ONE, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Scorer.score`."""
        return self.scorer.score(items)

    @bentoml.api
    async def info(self) -> Description:
        """See `Scorer.info`; on the event loop, so that it answers while a batch is computed."""
        return self.scorer.info()


@bentoml.service(name="DINOv2Runner", **RUNNER)
class DINOv2Runner:
    """Scores photos of faces: uint8 as `ModelInfo.picture_shape` says -> the numbers of a `PhotoScore`."""

    def __init__(self) -> None:
        from models.configured import PhotoScorer, load_options

        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        with refusal_to_start(UnprotectedError, ModelError):
            require_private("DINOv2Runner", http_host(), SETTINGS)
            scorer = PhotoScorer.load(SETTINGS.face_model, load_options("face", SETTINGS))
        self.scorer = Scorer(scorer.info, lambda photos: [each.numbers for each in scorer.score(photos)])

    @bentoml.on_startup
    async def started(self) -> None:
        """Installs the signal handlers of the drain."""
        self.scorer.install_drain()

    @bentoml.api(batchable=True, max_batch_size=FACE_BATCH, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Scorer.score`."""
        return self.scorer.score(items)

    @bentoml.api
    async def info(self) -> Description:
        """See `Scorer.info`; on the event loop, so that it answers while a batch is computed."""
        return self.scorer.info()


def shadow_scorer(load: Callable[[], tuple[ModelInfo, Callable[[list[Any]], list[Any]]]]) -> Scorer:
    """What a second model scores with, at the lowest priority. One that cannot be loaded is an entry in the log."""
    lower_priority()
    try:
        return Scorer(*load())
    except ModelError as error:
        logger.error("the shadow cannot be loaded, and scores nothing: %s", error)
        return Scorer(None, list)


@bentoml.service(name="VoiceShadowRunner", **RUNNER)
class VoiceShadowRunner:
    """Scores windows of speech that were answered, with the second model: int16 (samples,) at 16 kHz -> P(spoof)."""

    def __init__(self) -> None:
        from models.configured import shadow_options
        from models.voice_model import VoiceSpoofModel

        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        with refusal_to_start(UnprotectedError):
            require_private("VoiceShadowRunner", http_host(), SETTINGS)

        def load() -> tuple[ModelInfo, Callable[[list[Any]], list[Any]]]:
            detector = VoiceSpoofModel.load(SETTINGS.voice_shadow or "", shadow_options("voice", SETTINGS))
            return detector.info, lambda windows: detector.score(windows).tolist()

        self.scorer = shadow_scorer(load)

    @bentoml.on_startup
    async def started(self) -> None:
        """Installs the signal handlers of the drain."""
        self.scorer.install_drain()

    @bentoml.api(batchable=True, max_batch_size=VOICE_BATCH * MAX_FOR_ONE, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Scorer.score`."""
        return self.scorer.score(items)

    @bentoml.api
    async def info(self) -> Description:
        """See `Scorer.info`."""
        return self.scorer.info()


@bentoml.service(name="FaceShadowRunner", **RUNNER)
class FaceShadowRunner:
    """Scores photos of faces that were answered, with the second model: uint8 (height, width, 3) -> P(fake)."""

    def __init__(self) -> None:
        from models.configured import shadow_options
        from models.face_model import FaceSpoofModel

        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        with refusal_to_start(UnprotectedError):
            require_private("FaceShadowRunner", http_host(), SETTINGS)

        def load() -> tuple[ModelInfo, Callable[[list[Any]], list[Any]]]:
            detector = FaceSpoofModel.load(SETTINGS.face_shadow or "", shadow_options("face", SETTINGS))
            return detector.info, lambda photos: detector.score(photos).tolist()

        self.scorer = shadow_scorer(load)

    @bentoml.on_startup
    async def started(self) -> None:
        """Installs the signal handlers of the drain."""
        self.scorer.install_drain()

    @bentoml.api(batchable=True, max_batch_size=FACE_BATCH, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Scorer.score`."""
        return self.scorer.score(items)

    @bentoml.api
    async def info(self) -> Description:
        """See `Scorer.info`."""
        return self.scorer.info()


RUNNERS: list[Any] = [WavLMRunner, DINOv2Runner, VoiceShadowRunner, FaceShadowRunner]
for runner in RUNNERS:
    runner.add_asgi_middleware(HostGate, hosts=lambda: AllowedHosts.of_listener(http_host(), SETTINGS.allowed_hosts))
    runner.add_asgi_middleware(RunnerGate, token=SETTINGS.runner_token)

ROUTES = Starlette()
"""Mounted in every process; the service adds its routes when it starts."""


@bentoml.service(
    name="Bonafide",
    workers=SETTINGS.workers,
    # Longer than the service's limits: BentoML responds 504 to a call that has sent nothing for so long.
    traffic={"timeout": SETTINGS.call_timeout_s + 3600},
    logging=NO_ACCESS_LOG,
    tracing={"excluded_urls": "/ws/"},  # each frame of a live voice would be a span
    runner_probe={"enabled": False},  # waits 12 s for a dead runner; `__is_ready__` returns at once
    http={"host": "127.0.0.1", "port": 3000},
    **https_options(SETTINGS),
)
@bentoml.asgi_app(ROUTES)
class Bonafide:
    """Serves gRPC, HTTP and WebSocket."""

    voice = bentoml.depends(WavLMRunner)
    face = bentoml.depends(DINOv2Runner)
    # Processes of their own: one that crashes, or takes all memory, is no runner of the answers.
    voice_shadow = bentoml.depends(VoiceShadowRunner) if SETTINGS.voice_shadow else None
    face_shadow = bentoml.depends(FaceShadowRunner) if SETTINGS.face_shadow else None

    def __init__(self) -> None:
        from bonafide.bento.remote import optional_remote, require_remote
        from bonafide.serving import Server

        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        with refusal_to_start(UnprotectedError, RuntimeError, OSError, ValueError):
            require_protection(http_host(), SETTINGS)
            self.server = Server(
                SETTINGS,
                voice=require_remote(self.voice, "WavLMRunner", "voice", RUNNER_TOKEN),
                face=require_remote(self.face, "DINOv2Runner", "face", RUNNER_TOKEN),
                voice_shadow=optional_remote(self.voice_shadow, "VoiceShadowRunner", "second voice", RUNNER_TOKEN),
                face_shadow=optional_remote(self.face_shadow, "FaceShadowRunner", "second face", RUNNER_TOKEN),
                tracer_provider=BentoMLContainer.tracer_provider.get(),
                metrics=metrics,
            )
        ROUTES.router.routes.extend(self.server.routes())
        ROUTES.state.access = self.server.access

    @bentoml.on_startup
    async def started(self) -> None:
        """Opens the ports beside BentoML's, and begins to take calls."""
        await self.server.start()

    @bentoml.on_shutdown
    async def stopped(self) -> None:
        """Drains and closes."""
        await self.server.stop()

    async def __is_ready__(self) -> bool:
        """For `/readyz`."""
        return self.server.taking_calls


Bonafide.add_asgi_middleware(  # type: ignore[attr-defined]  # BentoML made it a Service
    HostGate, hosts=lambda: AllowedHosts.of_service(http_host(), SETTINGS)
)
if SETTINGS.allowed_origins:
    Bonafide.add_asgi_middleware(AllowedPages, origins=SETTINGS.allowed_origins)  # type: ignore[attr-defined]
Bonafide.add_asgi_middleware(  # type: ignore[attr-defined]
    KeyGate,
    access=lambda: ROUTES.state.access(),
    metrics_moved=SETTINGS.metrics_port is not None,
    signed=frozenset({TWILIO_PATH}) if SETTINGS.twilio_auth_token else frozenset(),
)
