"""gRPC: the services, health and reflection on every configured port. Translation only."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from bonafide.addresses import join_address
from bonafide.api import messages
from bonafide.api.grpc_calls import Context, abort, begin
from bonafide.api.grpc_health import Health
from bonafide.api.grpc_intake import STREAM_BYTES, Intake, IntakeInterceptor
from bonafide.api.grpc_jobs import CREATE_METHOD, JOBS_SERVICE, JobsServicer
from bonafide.api.grpc_live import analyze_live
from bonafide.api.grpc_security import KeyInterceptor, keep_metadata_from_log, server_credentials
from bonafide.api.grpc_servicer import Servicer
from bonafide.api.predictions import PredictionsInterceptor
from bonafide.app import App
from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.reader import checked_hop
from bonafide.calls import Call, printable_id
from bonafide.decoders.slots import FairSlots
from bonafide.errors import BonafideError, InvalidRequest, TooLarge, UnreadableMedia
from bonafide.security.caller import current_caller
from bonafide.security.fair_share import FairShare
from bonafide.security.tls import ServerTls
from bonafide.telemetry import bind_task
from bonafide.voice_report import VoiceEvents, report_of
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc, jobs_pb2_grpc, liveness_api_pb2_grpc
from proto import liveness_api_pb2 as liveness

logger = logging.getLogger(__name__)

VOICE_SERVICE = audio.DESCRIPTOR.services_by_name["AudioAnalysis"].full_name
FACE_SERVICE = liveness.DESCRIPTOR.services_by_name["LivenessService"].full_name

_SPARE_BYTES = 64 * 1024
"""Bytes of a message besides its media."""
_SPARE_S = 60.0
"""Extra time of a live call over its session's limit, so that the session ends first, with a reason."""
_SPARE_CALLS = 64
"""Status calls, beside those that the use cases admit."""
_PART_BYTES = 4 * 1024 * 1024
_KEEPALIVE_MS = 20_000
_HANDSHAKE_MS = 20_000
_FAREWELL_S = 1.0
"""For the last status of health and reflection calls."""

_WATCHING_CALLS = 1024
"""Open calls of health and reflection: many clients keep a watch."""
_WATCHING_ARRIVING = 8
_WATCHING_IDLE_S = 5.0
"""For their messages, which have a few bytes."""
_WATCHING = (f"/{health.SERVICE_NAME}/", f"/{reflection.SERVICE_NAME}/")
_UPLOAD_METHOD = f"/{VOICE_SERVICE}/AnalyzeUpload"
_LIVE_METHOD = f"/{VOICE_SERVICE}/AnalyzeLive"
_PHOTO_METHOD = f"/{FACE_SERVICE}/PredictLiveness"


class AudioAnalysis(Servicer, audio_analyzer_pb2_grpc.AudioAnalysisServicer):
    """`audioanalyzer.AudioAnalysis`."""

    async def AnalyzeAudio(self, request: audio.AnalyzeAudioRequest, context: Context) -> audio.AnalyzeAudioResponse:
        """Judges a stored recording; one response."""
        async with self._call("AnalyzeAudio", context, self._app.settings.call_timeout_s, request.task_id) as call:
            return messages.audio_response(await report_of(self._object_events(request, call)), call)
        raise AssertionError("a call that fails is aborted")

    # Streams are written, not yielded: a generator that is not read to its end holds its slot until garbage collection.
    async def AnalyzeAudioStream(  # type: ignore[override]
        self, request: audio.AnalyzeAudioRequest, context: Context
    ) -> None:
        """Judges a stored recording; one message per scored chunk, then the summary."""
        async with self._call(
            "AnalyzeAudioStream", context, self._app.settings.call_timeout_s, request.task_id
        ) as call:
            await self._send(self._object_events(request, call), call, context)

    async def AnalyzeUpload(  # type: ignore[override]
        self, requests: AsyncIterator[audio.AnalyzeUploadRequest], context: Context
    ) -> None:
        """Collects a recording, then judges it as `AnalyzeAudioStream` does."""
        task_id, mode = "", ChannelMode()
        hop_s: float | None = None

        async def parts() -> AsyncIterator[bytes]:
            nonlocal task_id, mode, hop_s
            first = True
            async for request in requests:
                if first:
                    task_id = printable_id(request.task_id)
                    bind_task(task_id)
                    mode = ChannelMode.parse(request.channel_mode)
                    hop_s = checked_hop(_hop_of(request))  # refused before the rest is sent
                first = False
                yield request.data

        async with (
            self._call("AnalyzeUpload", context, self._app.settings.call_timeout_s) as call,
            self._app.budget.collect(parts(), self._app.settings.max_audio_bytes, caller=current_caller()) as data,
        ):
            events = self._app.voice.analyze_bytes(data, call.of_task(task_id), hop_s=hop_s, mode=mode)
            await self._send(events, call, context)

    async def AnalyzeLive(  # type: ignore[override]
        self, requests: AsyncIterator[audio.LiveAudioRequest], context: Context
    ) -> None:
        """Judges live audio; one message per window, then the summary."""
        async with self._call("AnalyzeLive", context, self._app.settings.live_max_session_s + _SPARE_S) as call:
            await analyze_live(self._app.live, requests, context.write, call)

    async def Feedback(self, request: audio.FeedbackRequest, context: Context) -> audio.FeedbackResponse:
        """Keeps the truth about a verdict."""
        async with self._call("Feedback", context, self._app.settings.face_timeout_s):
            feedback = self._app.require_feedback()
            verdict = await feedback.tell(request.request_id, request.label, request.note, current_caller())
            return messages.feedback_response(request.request_id, verdict, request.label)
        raise AssertionError("a call that fails is aborted")

    async def GetVoiceModelStatus(
        self, request: audio.VoiceModelStatusRequest, context: Context
    ) -> audio.VoiceModelStatusResponse:
        """The voice model in use."""
        return messages.voice_status(
            self._app.voice_runner, self._app.settings.voice_threshold, self._app.settings.voice_uncertain
        )

    def _object_events(self, request: audio.AnalyzeAudioRequest, call: Call) -> VoiceEvents:
        if not request.minio_bucket_name or not request.minio_object_key:
            raise InvalidRequest("minio_bucket_name and minio_object_key must both be set")
        bucket, key = request.minio_bucket_name, request.minio_object_key
        mode = ChannelMode.parse(request.channel_mode)
        return self._app.voice.analyze_object(bucket, key, call, hop_s=_hop_of(request), mode=mode)

    async def _send(self, events: VoiceEvents, call: Call, context: Context) -> None:
        async with aclosing(events):
            async for event in events:
                await context.write(messages.audio_event(event, call))


class LivenessService(Servicer, liveness_api_pb2_grpc.LivenessServiceServicer):
    """`liveness.LivenessService`."""

    async def PredictLiveness(  # type: ignore[override]
        self, photo: bytearray, context: Context
    ) -> liveness.LivenessResponse:
        """Judges a photo (see `_photo_of`); errors in the image itself have status OK, as old clients expect."""
        call = begin(context, self._app.settings.face_timeout_s)
        try:
            async with self._running("PredictLiveness", context, call):
                return messages.face_response(await self._app.face.judge(photo, call), call)
        except (InvalidRequest, UnreadableMedia, TooLarge) as error:
            return messages.face_refusal(error, call)
        except BonafideError as error:
            await abort(context, call, error)
        raise AssertionError("a call that fails is aborted")

    async def GetModelStatus(
        self, request: liveness.ModelStatusRequest, context: Context
    ) -> liveness.ModelStatusResponse:
        """The face model in use."""
        return messages.face_status(
            self._app.face_runner, self._app.settings.face_threshold, self._app.settings.face_uncertain
        )


class GrpcServer:
    """The server with the services, health and reflection.

    Args:
        app: the use cases.
        tracer_provider: where spans go; BentoML's own, so that one configuration serves all transports.
        tls: certificates; None: no TLS.
    """

    def __init__(self, app: App, tracer_provider: TracerProvider | None = None, tls: ServerTls | None = None) -> None:
        keep_metadata_from_log()
        settings = app.settings
        largest = max(settings.max_image_bytes, _PART_BYTES) + _SPARE_BYTES
        received = 2 * largest  # what is over the limit, but not far, is told so with our own status
        self._app = app
        self._host = settings.grpc_host
        self._ports = settings.grpc_ports
        self._tls = tls
        tracer = trace.get_tracer(__name__, tracer_provider=tracer_provider)
        age = [("grpc.max_connection_age_ms", int(settings.grpc_max_connection_age_s * 1000))]
        self._calls = _calls(app, largest, received)
        self._uploads = replace(self._calls, calls=FairShare(4 * settings.max_voice_calls, "uploads"))
        self._watching = _watching(app, largest)
        self._server = grpc.aio.server(
            options=[
                *(age if settings.grpc_max_connection_age_s else []),
                ("grpc.max_receive_message_length", received),
                ("grpc.max_allowed_incoming_connections", settings.grpc_max_connections),
                ("grpc.max_concurrent_streams", settings.grpc_max_streams_per_connection),
                ("grpc.http2.lookahead_bytes", STREAM_BYTES),
                ("grpc.http2.bdp_probe", 0),  # which would let each stream buffer megabytes
                # A second service on a taken port must fail to start; of several processes the supervisor sees to it.
                ("grpc.so_reuseport", int(settings.workers > 1)),
                ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),  # detects lost connections
                ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
            ],
            interceptors=[
                KeyInterceptor(app.access),
                IntakeInterceptor(self._intake_of),
                PredictionsInterceptor(settings.predictions),
            ],
        )
        audio_analyzer_pb2_grpc.add_AudioAnalysisServicer_to_server(AudioAnalysis(app, tracer), self._server)
        liveness_api_pb2_grpc.add_LivenessServiceServicer_to_server(LivenessService(app, tracer), self._server)
        jobs_pb2_grpc.add_JobsServicer_to_server(JobsServicer(app, tracer), self._server)
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (VOICE_SERVICE, FACE_SERVICE, JOBS_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self) -> list[int]:
        """Starts to listen, and returns the ports; health is that of the runners, which may not be ready yet.

        Raises:
            RuntimeError: an address cannot be listened on, which the message names.
        """
        await self.report_health()
        bound = [self._bind(join_address(self._host, port)) for port in self._ports]
        await self._server.start()
        logger.info("gRPC listens", extra={"host": self._host, "ports": bound, "tls": self._tls is not None})
        return bound

    def _bind(self, address: str) -> int:
        try:
            if self._tls is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, server_credentials(self._tls))
        except RuntimeError:
            raise RuntimeError(
                f"gRPC cannot listen on {address} (BONAFIDE_GRPC_HOST, BONAFIDE_GRPC_PORTS): it is taken, or not ours"
            ) from None

    async def report_health(self) -> None:
        """Sets the health of each service by its runner; the server is healthy when voice and face are ready."""
        voice, face = self._app.voice_runner.ready, self._app.face_runner.ready
        for service, ready in ((VOICE_SERVICE, voice), (FACE_SERVICE, face), ("", voice and face)):
            self._health.set(service, ready)
        self._health.set(JOBS_SERVICE, self._app.takes_jobs)

    async def set_not_serving(self) -> None:
        """Sets health to NOT_SERVING permanently; calls are still accepted."""
        self._health.leave()

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, and returns when those in flight have ended; after `grace_s` seconds they are aborted.

        Those of health and reflection are ended at once: their callers may wait without end.
        """
        stopping = asyncio.create_task(self._server.stop(grace_s))
        await asyncio.sleep(0)  # from now on no caller who is sent away comes back over the same connection
        self._watching.end()
        ended = asyncio.gather(self._calls.ended(), self._uploads.ended())
        await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        await asyncio.wait((stopping,), timeout=_FAREWELL_S)
        await self._server.stop(None)  # drops what cannot be ended: watchers who read nothing
        await stopping

    def _intake_of(self, method: str) -> Intake:
        if method.startswith(_WATCHING):
            return self._watching
        return self._uploads if method == _UPLOAD_METHOD else self._calls


def _calls(app: App, largest: int, received: int) -> Intake:
    """Limits of calls to the two services. Which of them are judged the use cases decide."""
    settings = app.settings
    judged = settings.max_voice_calls + settings.max_face_calls + settings.live_max_sessions
    return Intake(
        calls=FairShare(2 * (judged + _SPARE_CALLS), "calls"),  # one caller may have half of them
        arriving=FairSlots(max(2, settings.max_inflight_bytes // (2 * received))),
        budget=app.budget,
        idle_s=settings.grpc_idle_s,
        largest=largest,
        pausing=frozenset({_LIVE_METHOD}),
        readers={_PHOTO_METHOD: _photo_of, CREATE_METHOD: bytes},
    )


def _watching(app: App, largest: int) -> Intake:
    """Limits of calls of health and reflection, which other calls never use up."""
    return Intake(
        calls=FairShare(_WATCHING_CALLS, "calls"),
        arriving=FairSlots(_WATCHING_ARRIVING, _WATCHING_ARRIVING),
        budget=app.budget,
        idle_s=_WATCHING_IDLE_S,
        largest=largest,
    )


def _hop_of(request: audio.AnalyzeAudioRequest | audio.AnalyzeUploadRequest) -> float | None:
    return request.hop_seconds if request.HasField("hop_seconds") else None


def _photo_of(message: bytes) -> bytearray:
    """The photo of a `LivenessRequest`, alone: the message would hold a second copy of it while the call lasts."""
    return bytearray(liveness.LivenessRequest.FromString(message).image_data)
