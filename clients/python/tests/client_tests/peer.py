"""A gRPC server that speaks the service's contract and does as a test tells it: it judges nothing."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from bonafide_client.proto import audio_analyzer_pb2 as audio
from bonafide_client.proto import audio_analyzer_pb2_grpc as audio_grpc
from bonafide_client.proto import liveness_api_pb2 as liveness
from bonafide_client.proto import liveness_api_pb2_grpc as liveness_grpc

REQUEST_ID = "req-7"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class Failure:
    """A status to end a call with, and what the service's trailing metadata says of it."""

    status: grpc.StatusCode
    message: str = "as told"
    code: str = ""
    retry_after_s: str = ""

    def end(self, context: Any) -> None:
        trailers = [("x-request-id", REQUEST_ID)]
        if self.code:
            trailers.append(("bonafide-error-code", self.code))
        if self.retry_after_s:
            trailers.append(("retry-after-s", self.retry_after_s))
        context.set_trailing_metadata(tuple(trailers))
        context.abort(self.status, self.message)


@dataclass
class Call:
    """A call as the peer saw it."""

    method: str
    metadata: dict[str, str | bytes]
    timeout_s: float | None
    request: Any
    parts: list[audio.AnalyzeUploadRequest] = field(default_factory=list)
    complete: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class Peer(audio_grpc.AudioAnalysisServicer, liveness_grpc.LivenessServiceServicer):
    """Answers every call with `scores`, unless `failures` holds something for it.

    Attributes:
        scores: P(spoof) of each chunk, and their mean; None: no speech; the first is P(fake) of a photo.
        failures: consumed one by one, by calls of any kind, before anything else happens.
        delay_s: waited before a unary answer, and before each streamed message.
        cut_after: streamed messages after which `cut` ends the call; None: never.
        without_zeros: a score of 0 is left out, as services did that knew nothing of speech.
        silent_end: streams end with OK and without a summary.
        ends_early: an upload is refused after its first part.
    """

    def __init__(self) -> None:
        self.scores: list[float | None] = [0.1, 0.2]
        self.failures: deque[Failure] = deque()
        self.delay_s = 0.0
        self.cut_after: int | None = None
        self.cut = Failure(grpc.StatusCode.UNAVAILABLE, "cut")
        self.without_zeros = False
        self.silent_end = False
        self.ends_early: Failure | None = None
        self.calls: list[Call] = []
        self.voice = audio.AnalyzeAudioResponse(
            threshold=0.5, model=audio.ModelIdentity(name="wavlm-peer", version="v1", demo=True), request_id=REQUEST_ID
        )
        self.face = liveness.LivenessResponse(
            success=True,
            threshold=0.5,
            model_name="dino-peer",
            model_version="v2",
            request_id=REQUEST_ID,
            calibrated=True,
        )
        self.loaded = True
        self.health = health.HealthServicer()
        self.health.set("", SERVING)

    def AnalyzeAudio(self, request: audio.AnalyzeAudioRequest, context: Any) -> audio.AnalyzeAudioResponse:
        self._begin("AnalyzeAudio", request, context)
        self._wait(context)
        return self.summary()

    def AnalyzeAudioStream(self, request: audio.AnalyzeAudioRequest, context: Any) -> Iterator[audio.AnalyzeAudioEvent]:
        self._begin("AnalyzeAudioStream", request, context)
        yield from self._events(context)

    def AnalyzeUpload(
        self, request_iterator: Iterator[audio.AnalyzeUploadRequest], context: Any
    ) -> Iterator[audio.AnalyzeAudioEvent]:
        call = self._begin("AnalyzeUpload", None, context)
        for part in request_iterator:
            call.parts.append(part)
            if self.ends_early:
                self.ends_early.end(context)
        # The parts also end, a moment before the call does, when the caller cancels.
        call.complete = not call.ended.wait(0.05)
        yield from self._events(context)

    def AnalyzeLive(
        self, request_iterator: Iterator[audio.LiveAudioRequest], context: Any
    ) -> Iterator[audio.LiveAudioEvent]:
        self._begin("AnalyzeLive", None, context)
        for request in request_iterator:
            if request.HasField("flush"):
                yield audio.LiveAudioEvent(window=audio.LiveWindow(score=self.scores[0]))

    def Feedback(self, request: audio.FeedbackRequest, context: Any) -> audio.FeedbackResponse:
        self._begin("Feedback", request, context)
        return audio.FeedbackResponse(request_id=request.request_id, verdict="spoof", label=request.label)

    def GetVoiceModelStatus(
        self, request: audio.VoiceModelStatusRequest, context: Any
    ) -> audio.VoiceModelStatusResponse:
        self._begin("GetVoiceModelStatus", request, context)
        return audio.VoiceModelStatusResponse(
            status="loaded" if self.loaded else "not_loaded", model=self.voice.model, model_type="wavlm",
            local_path="bundled", is_loaded=self.loaded, engine="torch", device="cpu", precision="fp32", threshold=0.5,
        )  # fmt: skip

    def PredictLiveness(self, request: liveness.LivenessRequest, context: Any) -> liveness.LivenessResponse:
        self._begin("PredictLiveness", request, context)
        self._wait(context)
        answer = liveness.LivenessResponse()
        answer.CopyFrom(self.face)
        if answer.success and not answer.predicted_class:
            fake = self.scores[0] or 0.0
            answer.is_live = fake < answer.threshold
            answer.predicted_class = "live" if answer.is_live else "fake"
            answer.probabilities.fake, answer.probabilities.live = fake, 1 - fake
            answer.confidence = 1 - fake if answer.is_live else fake
        return answer

    def GetModelStatus(self, request: liveness.ModelStatusRequest, context: Any) -> liveness.ModelStatusResponse:
        self._begin("GetModelStatus", request, context)
        return liveness.ModelStatusResponse(
            status="loaded", model_name="dino-peer", model_type="dinov2", local_path="bundled", is_loaded=True,
            model_version="v2", engine="torch", device="cpu", precision="fp32", threshold=0.5,
        )  # fmt: skip

    def chunks(self) -> list[audio.ChunkResult]:
        """The scored chunks, 4 s each."""
        return [
            audio.ChunkResult(
                chunk_id=f"chunk_{place}", score=self._told(score), start_time_seconds=4.0 * place,
                end_time_seconds=4.0 * place + 4, label=self._label(score), speech_ratio=0.0 if score is None else 0.75,
            )
            for place, score in enumerate(self.scores)
        ]  # fmt: skip

    def summary(self) -> audio.AnalyzeAudioResponse:
        """The verdict; a label that a test has set in `voice` stays."""
        answer = audio.AnalyzeAudioResponse()
        answer.CopyFrom(self.voice)
        judged = [score for score in self.scores if score is not None]
        mean = sum(judged) / len(judged) if judged else None
        if (told := self._told(mean)) is not None:
            answer.score = told
        answer.label = answer.label or self._label(mean)
        answer.chunks.extend(self.chunks())
        answer.audio_seconds = 4.0 * len(self.scores)
        answer.speech_seconds = 3.0 * len(judged)
        answer.suspicious.extend(
            audio.SuspiciousStretch(
                start_time_seconds=chunk.start_time_seconds, end_time_seconds=chunk.end_time_seconds, score=chunk.score
            )
            for chunk in answer.chunks
            if chunk.label == "spoof"
        )
        return answer

    def _told(self, score: float | None) -> float | None:
        return None if score == 0 and self.without_zeros else score

    def _label(self, score: float | None) -> str:
        if score is None:
            return "no_speech"
        return "spoof" if score >= self.voice.threshold else "bonafide"

    def _begin(self, method: str, request: Any, context: Any) -> Call:
        call = Call(method, dict(context.invocation_metadata()), context.time_remaining(), request)
        if not context.add_callback(call.ended.set):  # a cancelled call may be over before its handler runs
            call.ended.set()
        self.calls.append(call)
        if self.failures:
            self.failures.popleft().end(context)
        return call

    def _events(self, context: Any) -> Iterator[audio.AnalyzeAudioEvent]:
        chunks = self.chunks()
        for place, chunk in enumerate(chunks):
            self._cut(place, context)
            self._wait(context)
            yield audio.AnalyzeAudioEvent(chunk=chunk, total_chunks=len(chunks))
        self._cut(len(chunks), context)
        if not self.silent_end:
            yield audio.AnalyzeAudioEvent(summary=self.summary(), total_chunks=len(chunks))

    def _cut(self, place: int, context: Any) -> None:
        if self.cut_after == place:
            self.cut.end(context)

    def _wait(self, context: Any) -> None:
        """Waits for `delay_s`, or until the caller is gone, so that no test waits for a forgotten call."""
        end = time.monotonic() + self.delay_s
        while time.monotonic() < end and context.is_active():
            time.sleep(0.01)


def start(
    peer: Peer,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    options: tuple[tuple[str, int], ...] = (),
) -> tuple[grpc.Server, str]:
    """Starts a server with the peer; returns it and its address."""
    server = grpc.server(
        ThreadPoolExecutor(16), options=(("grpc.max_receive_message_length", 16 * 2**20 + 65536), *options)
    )
    audio_grpc.add_AudioAnalysisServicer_to_server(peer, server)
    liveness_grpc.add_LivenessServiceServicer_to_server(peer, server)
    health_pb2_grpc.add_HealthServicer_to_server(peer.health, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return server, f"127.0.0.1:{port}"
