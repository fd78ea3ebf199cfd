"""The blocking client; safe to share between threads."""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import cached_property
from types import TracebackType
from typing import Protocol, TypeVar

import grpc
from grpc_health.v1 import health_pb2

from . import convert
from .connection import AUDIO_TIMEOUT_S, FACE_TIMEOUT_S, STATUS_TIMEOUT_S, Connection, Tls
from .errors import BonafideError, from_rpc
from .jobs import Jobs
from .media import Source, Upload, read_photo, stored
from .proto import audio_analyzer_pb2 as audio
from .proto import audio_analyzer_pb2_grpc as audio_grpc
from .proto import liveness_api_pb2 as liveness
from .proto import liveness_api_pb2_grpc as liveness_grpc
from .results import AudioEvent, AudioReport, FaceReport, Health, ModelStatus, Progress

Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


class _Call(Protocol):
    def __iter__(self) -> Iterator[audio.AnalyzeAudioEvent]: ...
    def cancel(self) -> object: ...


class BonafideClient:
    """Asks a Bonafide service.

    Every verb has a deadline, `timeout_s` (None: no deadline), and raises `BonafideError`. What is safe to
    ask twice is retried for about 3 s while the service is unavailable; an upload is not.

    Args:
        address: `host:port`; None reads BONAFIDE_ADDRESS, else 127.0.0.1:50051.
        api_key: sent as `authorization: Bearer`; None reads BONAFIDE_API_KEY, "" sends none.
        tls: how to encrypt; None does not.
        key_in_clear: send the key to another machine without TLS too, where something else encrypts the way.
        keepalive_s: seconds between the pings that keep a silent connection open.

    Raises:
        ValueError: an address, a key or a TLS file that can never work, or a key that would travel unencrypted.
        OSError: a TLS file cannot be read.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
        key_in_clear: bool = False,
        keepalive_s: float = 60.0,
    ) -> None:
        self._connection = Connection.resolve(address, api_key, tls, keepalive_s, key_in_clear=key_in_clear)
        self._channel = self._connection.channel()
        self._audio = audio_grpc.AudioAnalysisStub(self._channel)
        self._face = liveness_grpc.LivenessServiceStub(self._channel)
        self._check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )

    def __enter__(self) -> BonafideClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls still running are cancelled."""
        self._channel.close()

    @property
    def address(self) -> str:
        """Where the service is asked."""
        return self._connection.address

    def analyze_object(
        self,
        bucket: str,
        key: str,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> AudioReport:
        """Judges a stored recording.

        Args:
            bucket: of the object.
            key: of the object.
            task_id: the caller's own id, for the service's log.
            hop_s: seconds between the starts of two chunks, 0.5 to 4, for here and the verbs below; None: 4, without
                overlap. Half of it finds spoofed parts more closely, at twice the cost.
            channel_mode: which channels are judged, for here and the verbs below: "auto", "mix", "separate", or the
                number of one, from 0.
            timeout_s: seconds for the answer; None: no limit.
        """
        request = stored(bucket, key, task_id, hop_s, channel_mode)
        return self._ask(self._audio.AnalyzeAudio, request, convert.audio_report, timeout_s)

    def iter_object(
        self,
        bucket: str,
        key: str,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> Generator[AudioEvent, None, None]:
        """Judges a stored recording: yields a `ChunkScore` per chunk as it is scored, then the `AudioReport`.

        The call starts with the first `next`; closing the iterator cancels it.
        """
        request = stored(bucket, key, task_id, hop_s, channel_mode)
        yield from self._events(
            self._audio.AnalyzeAudioStream(request, timeout=timeout_s, metadata=self._connection.metadata)
        )

    def analyze_file(
        self,
        source: Source,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        on_progress: Callable[[Progress], None] | None = None,
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> AudioReport:
        """Judges a recording that is sent along, read part by part.

        `on_progress` is called from this thread and from one of gRPC's, never by both at once. What it or
        the file raises cancels the call and is raised here.

        Raises:
            OSError: the file cannot be read.
            TypeError: a file object that is not binary.
        """
        upload = Upload(source, task_id, on_progress, hop_s, channel_mode)
        try:
            upload.open()
            call = self._audio.AnalyzeUpload(upload.parts(), timeout=timeout_s, metadata=self._connection.metadata)
            upload.on_failure(call.cancel)
            with closing(self._events(call)) as events:
                return convert.expect_report([upload.follow(event) for event in events][-1])
        except BonafideError:
            if upload.failure is not None:
                raise upload.failure from None
            raise
        finally:
            upload.leave()

    def predict_liveness(self, source: Source, *, timeout_s: float | None = FACE_TIMEOUT_S) -> FaceReport:
        """Judges a photo of a face.

        Raises:
            OSError: the file cannot be read.
            TypeError: a file object that is not binary.
        """
        request = liveness.LivenessRequest(image_data=read_photo(source))
        return self._ask(self._face.PredictLiveness, request, convert.face_report, timeout_s)

    def voice_status(self, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> ModelStatus:
        """Tells which voice model answers."""
        request = audio.VoiceModelStatusRequest()
        return self._ask(self._audio.GetVoiceModelStatus, request, convert.voice_status, timeout_s)

    def face_status(self, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> ModelStatus:
        """Tells which face model answers."""
        return self._ask(self._face.GetModelStatus, liveness.ModelStatusRequest(), convert.face_status, timeout_s)

    def health(self, service: str = "", *, timeout_s: float | None = STATUS_TIMEOUT_S) -> Health:
        """Tells whether the service, or one gRPC service of it by name, takes calls."""
        request = health_pb2.HealthCheckRequest(service=service)
        return self._ask(self._check, request, convert.health, timeout_s)

    @cached_property
    def jobs(self) -> Jobs:
        """Many stored recordings in one request."""
        return Jobs(self._connection, self._channel)

    def _ask(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        result: Callable[[Response], Result],
        timeout_s: float | None,
    ) -> Result:
        try:
            response = method(request, timeout=timeout_s, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return result(response)

    def _events(self, call: _Call) -> Generator[AudioEvent, None, None]:
        last = None
        try:
            for message in call:
                if (event := convert.audio_event(message)) is not None:
                    last = event
                    yield event
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        finally:
            call.cancel()
        convert.expect_report(last)
