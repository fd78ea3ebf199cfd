"""What BentoML serves: two runners that score, and the service that takes calls. Composition only.

`bentoml serve` in this folder starts all three, each in a process of its own.
"""

from bonafide.bento.environment import note_of, prepare_environment
from bonafide.bento.streams import open_standard_streams

open_standard_streams()  # before anything else is opened
prepare_environment()  # before prometheus_client is imported: it looks there whether it counts in several processes

from bonafide.bento.counter_files import reserve_room

reserve_room()  # before the first metric is made

import asyncio
import logging
import time
from functools import partial
from typing import Annotated, Any

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.validators import ContentType
from starlette.applications import Starlette

from bonafide.api.exact_paths import ExactPaths
from bonafide.api.hosts import HostGate
from bonafide.api.index_page import RestrictedIndex
from bonafide.api.origins import AllowedPages
from bonafide.api.runner_security import RunnerGate
from bonafide.api.security import KeyGate
from bonafide.api.telephony.paths import query_key_paths, signed_paths
from bonafide.audio.windows import MAX_FOR_ONE
from bonafide.bento.batching import clamp_learned_wait, set_poll_interval
from bonafide.bento.endpoints import name_endpoints_by_route
from bonafide.bento.https import https_options, serve_newest_certificate
from bonafide.bento.listening import http_host
from bonafide.bento.metrics import metrics
from bonafide.bento.priority import lower_priority
from bonafide.bento.server import bound_servers
from bonafide.bento.shutdown import IdleDrain
from bonafide.bento.startup import refusal_to_start
from bonafide.bento.supervisor import secure_supervisor
from bonafide.bento.timeouts import cancel_request_timers, runner_limit_s
from bonafide.bento.tracing import ignore_baggage, refuse_missing_exporter
from bonafide.environment import WrongSettings, read_settings
from bonafide.runner.remote import RunnerResult
from bonafide.security.exposure import UnprotectedError, require_private, require_protection
from bonafide.security.hosts import AllowedHosts
from bonafide.telemetry import configure_logging
from models.batch_sizes import batch_size
from models.devices import cuda_is_available
from models.errors import ModelBusy, ModelError
from models.info import Device
from models.slot import Loaded, ModelSlot, Source

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
    "traffic": {"timeout": runner_limit_s(SETTINGS)},
    # BentoML would close the connection every 100 requests, and with it the calls in flight.
    "runner_connection": {"max_requests": 2**31, "max_age": 1e9},
    "logging": NO_ACCESS_LOG,
    "tracing": {"excluded_urls": "/info$"},  # a probe, each second
    "http": {"host": "127.0.0.1"},
}

SHARED_PORTS = [(SETTINGS.grpc_host, SETTINGS.grpc_ports)]
if SETTINGS.metrics_port:
    SHARED_PORTS.append((SETTINGS.metrics_host, (SETTINGS.metrics_port,)))
if SETTINGS.audiosocket_port:
    SHARED_PORTS.append((SETTINGS.audiosocket_host, (SETTINGS.audiosocket_port,)))
RUNNER_TOKEN = SETTINGS.runner_token.get_secret_value()

secure_supervisor(
    RUNNER_TOKEN,
    shared=SHARED_PORTS if SETTINGS.workers > 1 else (),
    forked=__name__ if DEVICE == "cpu" else None,  # CUDA, which was looked for, does not outlive a fork
    before_start=partial(configure_logging, SETTINGS.log_level, SETTINGS.log_format),
)
clamp_learned_wait(SETTINGS.batch_max_wait_ms / 1000)
set_poll_interval(0.001 if DEVICE == "cuda" else 0.004)
cancel_request_timers()
name_endpoints_by_route()
ignore_baggage()
refuse_missing_exporter()
serve_newest_certificate(SETTINGS)
bound_servers(SETTINGS)


class Runner:
    """Common part of the runners: a model, which another one may replace while calls go on (`models.slot`).

    Args:
        source: loads models.
        reference: of the model.
        spoof_label: its setting.
        required: whether a model that cannot be loaded ends the start; else nothing is scored until it is replaced.
    """

    def __init__(self, source: Source, reference: str, spoof_label: str | None, *, required: bool) -> None:
        name = type(self).__name__
        configure_logging(SETTINGS.log_level, SETTINGS.log_format)
        self.slot = ModelSlot(source, keep_s=SETTINGS.call_timeout_s, note=note_of(name))
        self.idle_drain = IdleDrain(SETTINGS.drain_s)
        with refusal_to_start(UnprotectedError, ModelError):
            require_private(name, http_host(), SETTINGS)
            try:
                self.slot.fill(reference, spoof_label)
            except ModelError as error:
                if required:
                    raise
                logger.error("%s has no model, and scores nothing: %s", name, error)

    def judged(self, items: list[Any], model: Loaded | None) -> list[RunnerResult]:
        """The result of each item, with the seconds and the size of its batch; without a model, no fingerprint."""
        self.idle_drain.touch()
        if model is None:
            return [RunnerResult(None, 0.0, len(items), "") for _ in items]
        began = time.perf_counter()
        judged = model.judge(items)
        seconds = time.perf_counter() - began
        self.idle_drain.touch()
        return [RunnerResult(each, seconds, len(items), model.info.fingerprint) for each in judged]

    @bentoml.on_startup
    async def started(self) -> None:
        """Installs the signal handlers that delay the exit; from now on replaced models are let go in time."""
        self.idle_drain.install()
        self.expiring = asyncio.create_task(self.slot.expire_in_time())

    @bentoml.api
    async def info(self) -> Description:
        """The model's description, empty without one; on the event loop, to answer while a batch is computed."""
        self.idle_drain.touch()
        return self.slot.current.info.to_dict() if self.slot.current else {}

    @bentoml.api
    async def prepare(self, reference: str, spoof_label: str) -> Description:
        """See `ModelSlot.prepare`: the `fingerprint`, or why it is `refused`, and whether only because of `busy`."""
        try:
            info = await asyncio.to_thread(self.slot.prepare, reference, spoof_label or None)
        except ModelError as error:
            return {"refused": str(error), "busy": isinstance(error, ModelBusy)}
        return {"fingerprint": info.fingerprint}

    @bentoml.api
    async def activate(self, fingerprint: str) -> bool:
        """See `ModelSlot.activate`."""
        return self.slot.activate(fingerprint)


class VoiceRunner(Runner):
    """Scores windows of speech: int16 (samples,) at 16 kHz."""

    @bentoml.api(batchable=True, max_batch_size=VOICE_BATCH * MAX_FOR_ONE, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Runner.judged`."""
        return self.judged(items, self.slot.current)

    @bentoml.api(batchable=True, max_batch_size=VOICE_BATCH * MAX_FOR_ONE, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score_previous(self, items: list[Any]) -> Results:
        """As `score`, by the model before the present one."""
        return self.judged(items, self.slot.asked_for_previous())


class FaceRunner(Runner):
    """Scores photos of faces: uint8 as `ModelInfo.picture_shape` says."""

    @bentoml.api(batchable=True, max_batch_size=FACE_BATCH, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score(self, items: list[Any]) -> Results:
        """See `Runner.judged`."""
        return self.judged(items, self.slot.current)

    @bentoml.api(batchable=True, max_batch_size=FACE_BATCH, max_latency_ms=SETTINGS.batch_max_latency_ms)
    def score_previous(self, items: list[Any]) -> Results:
        """As `score`, by the model before the present one."""
        return self.judged(items, self.slot.asked_for_previous())


@bentoml.service(name="WavLMRunner", **RUNNER)
class WavLMRunner(VoiceRunner):
    """A window -> the numbers of a `WindowScore`."""

    def __init__(self) -> None:
        from models.configured import VoiceWithSpeech

        super().__init__(VoiceWithSpeech(SETTINGS), SETTINGS.voice_model, SETTINGS.voice_spoof_label, required=True)


@bentoml.service(name="DINOv2Runner", **RUNNER)
class DINOv2Runner(FaceRunner):
    """A photo -> the numbers of a `PhotoScore`."""

    def __init__(self) -> None:
        from models.configured import Face

        super().__init__(Face(SETTINGS), SETTINGS.face_model, SETTINGS.face_spoof_label, required=True)


@bentoml.service(name="VoiceShadowRunner", **RUNNER)
class VoiceShadowRunner(VoiceRunner):
    """A window that was answered -> P(spoof) of a second model, at the lowest priority."""

    def __init__(self) -> None:
        from models.configured import Voice

        lower_priority()
        label = SETTINGS.voice_shadow_spoof_label
        super().__init__(Voice(SETTINGS), SETTINGS.voice_shadow or "", label, required=False)


@bentoml.service(name="FaceShadowRunner", **RUNNER)
class FaceShadowRunner(FaceRunner):
    """A photo that was answered -> the numbers of a second model's `PhotoScore`, at the lowest priority."""

    def __init__(self) -> None:
        from models.configured import Face

        lower_priority()
        label = SETTINGS.face_shadow_spoof_label
        super().__init__(Face(SETTINGS), SETTINGS.face_shadow or "", label, required=False)


@bentoml.service(name="VoiceJobsRunner", **RUNNER)
class VoiceJobsRunner(VoiceRunner):
    """As `WavLMRunner`, for the recordings of jobs, at the lowest priority: live windows do not wait for them."""

    def __init__(self) -> None:
        from models.configured import VoiceWithSpeech

        lower_priority()
        super().__init__(VoiceWithSpeech(SETTINGS), SETTINGS.voice_model, SETTINGS.voice_spoof_label, required=True)


@bentoml.service(name="FaceJobsRunner", **RUNNER)
class FaceJobsRunner(FaceRunner):
    """As `DINOv2Runner`, for the photos of jobs, at the lowest priority."""

    def __init__(self) -> None:
        from models.configured import Face

        lower_priority()
        super().__init__(Face(SETTINGS), SETTINGS.face_model, SETTINGS.face_spoof_label, required=True)


RUNNERS: list[Any] = [
    *(WavLMRunner, DINOv2Runner),
    *(VoiceShadowRunner, FaceShadowRunner),
    *(VoiceJobsRunner, FaceJobsRunner),
]
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
    voice_jobs = bentoml.depends(VoiceJobsRunner) if SETTINGS.jobs else None
    face_jobs = bentoml.depends(FaceJobsRunner) if SETTINGS.jobs and SETTINGS.jobs_photos else None

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
                voice_jobs=optional_remote(self.voice_jobs, "VoiceJobsRunner", "voice", RUNNER_TOKEN),
                face_jobs=optional_remote(self.face_jobs, "FaceJobsRunner", "face", RUNNER_TOKEN),
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
Bonafide.add_asgi_middleware(ExactPaths)  # type: ignore[attr-defined]
Bonafide.add_asgi_middleware(RestrictedIndex)  # type: ignore[attr-defined]
if SETTINGS.allowed_origins:
    Bonafide.add_asgi_middleware(AllowedPages, origins=SETTINGS.allowed_origins)  # type: ignore[attr-defined]
Bonafide.add_asgi_middleware(  # type: ignore[attr-defined]
    KeyGate,
    access=lambda: ROUTES.state.access(),
    metrics_moved=SETTINGS.metrics_port is not None,
    signed=signed_paths(SETTINGS),
    query_keys=query_key_paths(SETTINGS),
)
