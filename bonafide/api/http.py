"""HTTP: files or JSON in, the fields of the gRPC responses out. A Starlette app that BentoML mounts; no logic.

The routes are no BentoML APIs: those parse a body by its content type (curl's default is a form), fetch URLs
that a body names, and do not notice that the caller has disconnected.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from google.protobuf.message import Message
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bonafide.api import http_jobs, messages
from bonafide.api.bodies import AUDIO_TYPES, PHOTO_TYPES, CallerGone, JsonBody, body, file_in_body, read_json
from bonafide.api.refusals import refusal
from bonafide.api.security import KEYS_PATH
from bonafide.api.web import web_routes
from bonafide.api.websocket_replies import session_stats
from bonafide.app import App
from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.reader import checked_hop
from bonafide.calls import Call
from bonafide.errors import BonafideError, InvalidRequest, ObjectNotFound, Unavailable
from bonafide.security.access import Access
from bonafide.security.caller import current_caller
from bonafide.settings import Settings
from bonafide.telemetry import bind_task, observed
from bonafide.voice_report import report_of

TIMEOUT_HEADER = "x-timeout-seconds"
CHANNEL_HEADER, CHANNEL_QUERY = "x-channel-mode", "channel_mode"
HOP_QUERY = "hop_seconds"
_MAX_JSON_BYTES = 64 * 1024
_CLIENT_CLOSED = 499
_GOING_AWAY = "the service is going away"

T = TypeVar("T")
Handler = Callable[[App, Request, Call], Awaitable[Message | dict[str, Any] | Response]]
Limit = Callable[[Settings], float]
"""Maximum seconds of a call to a route."""


class StoredRecording(JsonBody):
    """Body of `/analyze_audio`."""

    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)
    task_id: str = ""
    channel_mode: str = ""
    hop_seconds: float | None = None


class FeedbackBody(JsonBody):
    """Body of `/feedback`."""

    request_id: str = Field(min_length=1)
    label: str = Field(min_length=1)
    note: str = ""


class HttpApi:
    """The routes' handlers. `app` is set when the service has started; BentoML needs the routes before that."""

    def __init__(self) -> None:
        self.app: App | None = None
        self._work: set[asyncio.Task[Any]] = set()
        self._leaving = False
        self._draining = False
        self._cut_off = False

    def leave(self) -> None:
        """From now on `/health` says that the service is going away; calls are still accepted."""
        self._leaving = True

    async def drain(self, grace_s: float) -> None:
        """Refuses new calls, and returns when those in progress have ended; aborts them after `grace_s` seconds."""
        self._draining = True
        if self._work:
            await asyncio.wait(self._work, timeout=grace_s)
        self._cut_off = True
        for task in self._work:
            task.cancel()

    def access(self) -> Access | None:
        """Who may call; None before the service has started."""
        return None if self.app is None else self.app.access

    def routes(self, *others: BaseRoute) -> Starlette:
        """The mountable application; `others` are routes of other transports."""
        return Starlette(
            routes=[
                *others,
                self._analysis("/detect_audio", self.detect_audio, _recording_limit_s),
                self._analysis("/analyze_audio", self.analyze_audio, _recording_limit_s),
                self._analysis("/predict_liveness", self.predict_liveness, _photo_limit_s),
                self._analysis("/feedback", self.feedback, _status_limit_s),
                self._analysis("/jobs", http_jobs.create_job, _recording_limit_s),
                self._status("/jobs/{job_id}", http_jobs.get_job),
                Route(
                    "/jobs/{job_id}",
                    self._endpoint(http_jobs.cancel_job, _status_limit_s, logging.INFO),
                    methods=["DELETE"],
                ),
                self._status("/jobs/{job_id}/results", http_jobs.job_results),
                self._status("/model_status", self.model_status),
                self._status("/health", self.health),
                self._status("/stats", self.stats),
                self._status("/calls/{call_id}", self.call_verdict),
                self._status(KEYS_PATH, self.evidence_keys),
                self._status("/docs.json", self.docs),
                *web_routes(),
            ]
        )

    async def detect_audio(self, app: App, request: Request, call: Call) -> Message:
        """Judges the recording in the body."""
        _channel_mode(request)  # refused before the file is read
        _hop(request)
        fields: dict[str, list[str]] = {CHANNEL_QUERY: [], HOP_QUERY: []}
        async with file_in_body(request, app.budget, app.settings.max_audio_bytes, AUDIO_TYPES, fields) as data:
            mode, hop_s = _channel_mode(request, *fields[CHANNEL_QUERY]), _hop(request, *fields[HOP_QUERY])
            events = app.voice.analyze_bytes(data, call, hop_s=hop_s, mode=mode)
            report = await _while_connected(request, report_of(events))
        return messages.audio_response(report, call)

    async def analyze_audio(self, app: App, request: Request, call: Call) -> Message:
        """Judges the stored recording that the body names."""
        async with body(request, app.budget, _MAX_JSON_BYTES) as data:
            wanted = read_json(StoredRecording, data)
        call = call.of_task(wanted.task_id)
        bind_task(call.task_id)
        mode = _channel_mode(request, wanted.channel_mode)
        hop_s = _hop(request, wanted.hop_seconds)
        events = app.voice.analyze_object(wanted.bucket, wanted.key, call, hop_s=hop_s, mode=mode)
        return messages.audio_response(await _while_connected(request, report_of(events)), call)

    async def predict_liveness(self, app: App, request: Request, call: Call) -> Message:
        """Judges the photo in the body."""
        async with file_in_body(request, app.budget, app.settings.max_image_bytes, PHOTO_TYPES) as data:
            report = await _while_connected(request, app.face.judge(data, call))
        return messages.face_response(report, call)

    async def feedback(self, app: App, request: Request, _call: Call) -> Message:
        """Keeps the truth about a verdict."""
        feedback = app.require_feedback()
        async with body(request, app.budget, _MAX_JSON_BYTES) as data:
            told = read_json(FeedbackBody, data)
        verdict = await feedback.tell(told.request_id, told.label, told.note, current_caller())
        return messages.feedback_response(told.request_id, verdict, told.label)

    async def model_status(self, app: App, _request: Request, _call: Call) -> dict[str, Any]:
        """The models in use."""
        settings = app.settings
        voice = messages.voice_status(app.voice_runner, settings.voice_threshold, settings.voice_uncertain)
        face = messages.face_status(app.face_runner, settings.face_threshold, settings.face_uncertain)
        return {"voice": messages.as_json(voice), "face": messages.as_json(face)}

    async def health(self, app: App, _request: Request, _call: Call) -> dict[str, Any]:
        """Whether both models are ready, and no drain has begun."""
        if self._leaving:
            raise Unavailable(_GOING_AWAY)
        runners = {runner.name: runner.ready for runner in (app.voice_runner, app.face_runner)}
        if not all(runners.values()):
            raise Unavailable("no answer from: " + ", ".join(name for name, ready in runners.items() if not ready))
        return {
            "status": "healthy",
            "runners": runners,
            "active_connections": app.live.active,
            "timestamp": time.time(),
        }

    async def stats(self, app: App, _request: Request, _call: Call) -> dict[str, Any]:
        """Numbers of active calls and sessions, their limits, and the statistics of the caller's own sessions."""
        runners = {
            runner.name: {
                "active_calls": runner.active_calls,
                "max_calls": runner.max_calls,
                "ready": runner.ready,
            }
            for runner in (app.voice_runner, app.face_runner)
        }
        live = {"active_sessions": app.live.active, "max_sessions": app.settings.live_max_sessions}
        connections: dict[str, Any] = {}
        for stream in app.live.of(current_caller()):
            name = stream.call.request_id if stream.client_id in connections else stream.client_id
            connections[name] = session_stats(stream).model_dump()
        return {
            **runners,
            "live": live,
            "active_connections": app.live.active,
            "connections": connections,
            "timestamp": time.time(),
        }

    async def call_verdict(self, app: App, request: Request, _call: Call) -> Response:
        """The verdict on a phone call, during the call and for some time after it."""
        document = await app.calls.get(request.path_params["call_id"])
        if document is None:
            raise ObjectNotFound("no verdict on a call of this id is kept")
        # As it is kept: of hours it is megabytes, and to parse it takes time in which no other call goes on.
        return Response(document, media_type="application/json")

    async def evidence_keys(self, app: App, _request: Request, _call: Call) -> dict[str, Any]:
        """The public keys of records, as a JSON Web Key Set."""
        if app.evidence is None:
            raise ObjectNotFound("this service keeps no evidence")
        return app.evidence.jwks()

    async def docs(self, _app: App, _request: Request, _call: Call) -> dict[str, Any]:
        """The OpenAPI document, shown by BentoML's page at `/`."""
        from bonafide.api.openapi import OPENAPI  # made when it is asked for, which few services are

        return OPENAPI

    @contextmanager
    def _in_progress(self, request: Request) -> Iterator[None]:
        """Makes `drain` wait for a call; requests about the service itself are served until the end.

        Raises:
            Unavailable: the service is shutting down, or did so before the call was complete.
        """
        if request.method != "POST":
            yield
            return
        if self._draining:
            raise Unavailable(_GOING_AWAY)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._work.add(task)
        try:
            yield
        except asyncio.CancelledError as error:
            if not self._cut_off or isinstance(error, CallerGone):
                raise
            task.uncancel()
            raise Unavailable(_GOING_AWAY) from error
        finally:
            self._work.discard(task)

    def _analysis(self, path: str, handler: Handler, limit_s: Limit) -> Route:
        """A route that judges media, or takes the truth about them, within the time limit of their kind."""
        return Route(path, self._endpoint(handler, limit_s, logging.INFO), methods=["POST"])

    def _status(self, path: str, handler: Handler) -> Route:
        """A route that reads the state of the service, logged at DEBUG."""
        return Route(path, self._endpoint(handler, _status_limit_s, logging.DEBUG), methods=["GET"])

    def _endpoint(self, handler: Handler, limit_s: Limit, level: int) -> Callable[[Request], Awaitable[Response]]:
        """Runs a handler under its deadline and observation. Never raises: BentoML would not respond."""

        async def endpoint(request: Request) -> Response:
            call = Call.within(60.0, request_id=request.headers.get("x-request-id"))
            headers = {"x-request-id": call.request_id}
            try:
                async with observed("http", handler.__name__, call, level):
                    if (app := self.app) is None:
                        raise Unavailable("the service is starting")
                    call = call.lasting(_time_limit(request, limit_s(app.settings)))
                    with self._in_progress(request):
                        async with call.time_limit():
                            response = await _response(await handler(app, request, call))
                response.headers.update(headers)
                return response
            except CallerGone:
                return Response(status_code=_CLIENT_CLOSED, headers=headers)
            except BonafideError as error:
                return refusal(error, call)

        endpoint.__name__ = handler.__name__
        return endpoint


async def _response(answer: Message | dict[str, Any] | Response) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, dict):
        return JSONResponse(answer)
    # Of hours it takes tenths of a second, in which no other call would go on.
    return await asyncio.to_thread(lambda: JSONResponse(messages.as_json(answer)))


def _recording_limit_s(settings: Settings) -> float:
    return settings.call_timeout_s


def _photo_limit_s(settings: Settings) -> float:
    return settings.face_timeout_s


def _status_limit_s(settings: Settings) -> float:
    # Served at once from this process's state, except for a call's verdict, which may be read from Redis.
    return settings.face_timeout_s


def _time_limit(request: Request, limit: float) -> float:
    """Seconds the call may take: `limit`, or less if the caller requests less.

    Raises:
        InvalidRequest: the caller's limit is not one number of seconds above 0.
    """
    requested = request.headers.getlist(TIMEOUT_HEADER)
    if not requested:
        return limit
    try:
        seconds = float(requested[0]) if len(set(requested)) == 1 else math.nan
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise InvalidRequest(f"{TIMEOUT_HEADER} must be one number of seconds above 0")
    return min(limit, seconds)


def _channel_mode(request: Request, *in_body: str) -> ChannelMode:
    """The choice of channels in the header, the query or the body.

    Raises:
        InvalidRequest: it is none, or they contradict each other.
    """
    given = [*request.headers.getlist(CHANNEL_HEADER), *request.query_params.getlist(CHANNEL_QUERY), *in_body]
    named = {text for text in given if text}
    if len(named) > 1:
        raise InvalidRequest(f"the request names several values of {CHANNEL_QUERY}")
    return ChannelMode.parse(named.pop() if named else "")


def _hop(request: Request, *in_body: str | float | None) -> float:
    """Seconds between the starts of two windows, from the query or the body; without them, that of windows in a row.

    Raises:
        InvalidRequest: no number, none that is allowed, or they contradict each other.
    """
    given = [*request.query_params.getlist(HOP_QUERY), *in_body]
    try:
        wanted = {float(each) for each in given if each is not None}
    except ValueError:
        raise InvalidRequest(f"{HOP_QUERY} must be one number") from None
    if len(wanted) > 1:
        raise InvalidRequest(f"the request names several values of {HOP_QUERY}")
    return checked_hop(wanted.pop() if wanted else None)


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    """Awaits `work`, and cancels it when the caller closes the connection.

    Raises:
        CallerGone: the caller closed the connection.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(disconnected())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise CallerGone
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, BonafideError):
                await task
