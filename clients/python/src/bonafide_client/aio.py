"""The asyncio client, the twin of `BonafideClient`: the same verbs, arguments, results and errors."""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import cached_property
from types import TracebackType
from typing import Any, TypeVar, cast

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2

from . import convert
from .aio_jobs import AsyncJobs
from .connection import AUDIO_TIMEOUT_S, FACE_TIMEOUT_S, STATUS_TIMEOUT_S, Connection, Tls
from .errors import BonafideError, DeadlineExceeded, from_rpc, from_status
from .media import Source, Upload, read_photo, stored
from .proto import audio_analyzer_pb2 as audio
from .proto import audio_analyzer_pb2_grpc as audio_grpc
from .proto import liveness_api_pb2 as liveness
from .proto import liveness_api_pb2_grpc as liveness_grpc
from .results import AudioEvent, AudioReport, FaceReport, Health, ModelStatus, Progress
from .threads import in_thread

Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


class AsyncBonafideClient:
    """Asks a Bonafide service, any number of calls at a time; `BonafideClient` says what the verbs do.

    Belongs to the event loop of its first call. A cancelled task cancels its call at the service too.
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

    async def __aenter__(self) -> AsyncBonafideClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls still running are cancelled."""
        if "_channel" in self.__dict__:  # a client that was never used has none
            await self._channel.close()

    @property
    def address(self) -> str:
        """Where the service is asked."""
        return self._connection.address

    async def analyze_object(
        self,
        bucket: str,
        key: str,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> AudioReport:
        """Judges a stored recording; `hop_s` and `channel_mode` as in `BonafideClient`."""
        request = stored(bucket, key, task_id, hop_s, channel_mode)
        return await self._ask(self._audio.AnalyzeAudio, request, convert.audio_report, timeout_s)

    async def iter_object(
        self,
        bucket: str,
        key: str,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> AsyncGenerator[AudioEvent, None]:
        """Judges a stored recording: yields a `ChunkScore` per chunk as it is scored, then the `AudioReport`.

        The call starts with the first step; `aclose` (or `contextlib.aclosing`) cancels it.
        """
        request = stored(bucket, key, task_id, hop_s, channel_mode)
        call = self._audio.AnalyzeAudioStream(request, timeout=timeout_s, metadata=self._connection.metadata)
        async with aclosing(self._events(call)) as events:
            async for event in events:
                yield event

    async def analyze_file(
        self,
        source: Source,
        *,
        task_id: str = "",
        hop_s: float | None = None,
        channel_mode: str | int = "auto",
        on_progress: Callable[[Progress], None] | None = None,
        timeout_s: float | None = AUDIO_TIMEOUT_S,
    ) -> AudioReport:
        """Judges a recording that is sent along, read part by part in a thread; `timeout_s` counts for opening it too.

        `on_progress` is called from the event loop.
        """
        upload = Upload(source, task_id, on_progress, hop_s, channel_mode)
        try:
            _, left_s = await _within(timeout_s, "recording", upload.open)
            call = self._audio.AnalyzeUpload(upload.aparts(), timeout=left_s, metadata=self._connection.metadata)
            async with aclosing(self._events(call)) as events:
                return convert.expect_report([upload.follow(event) async for event in events][-1])
        except (BonafideError, asyncio.CancelledError):
            if upload.failure is not None:
                raise upload.failure from None
            raise
        finally:
            await upload.aleave()

    async def predict_liveness(self, source: Source, *, timeout_s: float | None = FACE_TIMEOUT_S) -> FaceReport:
        """Judges a photo of a face; `timeout_s` counts for reading it too."""
        image, left_s = await _within(timeout_s, "photo", read_photo, source)
        request = liveness.LivenessRequest(image_data=image)
        return await self._ask(self._face.PredictLiveness, request, convert.face_report, left_s)

    async def voice_status(self, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> ModelStatus:
        """Tells which voice model answers."""
        request = audio.VoiceModelStatusRequest()
        return await self._ask(self._audio.GetVoiceModelStatus, request, convert.voice_status, timeout_s)

    async def face_status(self, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> ModelStatus:
        """Tells which face model answers."""
        request = liveness.ModelStatusRequest()
        return await self._ask(self._face.GetModelStatus, request, convert.face_status, timeout_s)

    async def health(self, service: str = "", *, timeout_s: float | None = STATUS_TIMEOUT_S) -> Health:
        """Tells whether the service, or one gRPC service of it by name, takes calls."""
        request = health_pb2.HealthCheckRequest(service=service)
        return await self._ask(self._check, request, convert.health, timeout_s)

    # Made with the first call, since a channel belongs to the loop that runs when it is made.
    @cached_property
    def _channel(self) -> aio.Channel:
        return self._connection.aio_channel()

    @cached_property
    def jobs(self) -> AsyncJobs:
        """Many stored recordings in one request."""
        return AsyncJobs(self._connection, self._channel)

    @cached_property
    def _audio(self) -> audio_grpc.AudioAnalysisAsyncStub:
        return audio_grpc.AudioAnalysisStub(self._channel)

    @cached_property
    def _face(self) -> liveness_grpc.LivenessServiceAsyncStub:
        return liveness_grpc.LivenessServiceStub(self._channel)

    @cached_property
    def _check(
        self,
    ) -> aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]:
        return self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )

    async def _ask(
        self,
        method: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        result: Callable[[Response], Result],
        timeout_s: float | None,
    ) -> Result:
        try:
            response = await method(request, timeout=timeout_s, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return result(response)

    async def _events(
        self,
        call: aio.UnaryStreamCall[Request, audio.AnalyzeAudioEvent]
        | aio.StreamStreamCall[Request, audio.AnalyzeAudioEvent],
    ) -> AsyncGenerator[AudioEvent, None]:
        ends: list[BonafideError] = []
        call.add_done_callback(lambda _: ends.append(_end(call)))
        last = None
        try:
            async for message in call:
                if (event := convert.audio_event(message)) is not None:
                    last = event
                    yield event
        except grpc.RpcError as error:
            raise (ends[0] if ends else from_rpc(error)) from error
        finally:
            call.cancel()
        convert.expect_report(last)


async def _within(
    timeout_s: float | None, what: str, read: Callable[..., Result], *args: object
) -> tuple[Result, float | None]:
    """What a function returns that waits for a file, from a thread, and how many seconds are left."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    try:
        found = await asyncio.wait_for(in_thread(read, *args), timeout_s)
    except asyncio.TimeoutError as error:  # noqa: UP041  # another class in Python 3.10
        raise DeadlineExceeded(f"the {what} could not be read within {timeout_s} s") from error
    return found, None if timeout_s is None else max(0.0, timeout_s - (clock() - began_s))


def _end(call: aio.Call) -> BonafideError:
    """The status that a call has just been given.

    Taken at once: when the service ends an upload before its last part, grpc.aio soon puts INTERNAL in the
    place of what the service said (https://github.com/grpc/grpc/issues/36066).
    """
    return from_status(_ready(call.code()), _ready(call.details()), _ready(call.trailing_metadata()))


def _ready(answer: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine returns that has nothing left to wait for."""
    try:
        answer.send(None)
    except StopIteration as end:
        return cast(Result, end.value)
    raise AssertionError("a call that is done has its status")
