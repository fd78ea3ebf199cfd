"""Everything that one service process serves: all transports, the private port, start and drain."""

import asyncio
import logging
from collections.abc import Callable

from opentelemetry.trace import TracerProvider
from starlette.routing import BaseRoute

from bonafide.api.grpc import GrpcServer
from bonafide.api.http import HttpApi
from bonafide.api.job_worker import job_worker
from bonafide.api.operator import OperatorApi
from bonafide.api.private import PrivateServer
from bonafide.api.telephony.audiosocket_server import AudioSocketServer
from bonafide.api.websocket import WebSocketApi
from bonafide.app import App
from bonafide.bento.shutdown import drain_on_signal
from bonafide.bento.startup import refusal_to_start
from bonafide.errors import Unavailable
from bonafide.jobs.worker import JobWorker
from bonafide.runner.remote import Remote
from bonafide.security.access import Access
from bonafide.security.tls import ServerTls
from bonafide.settings import Settings

logger = logging.getLogger(__name__)


class Server:
    """The transports around one `App`.

    Args:
        settings: of the service.
        voice: the voice runner's replicas.
        face: the face runner's replicas.
        voice_shadow: those of the second voice model, if there is one.
        face_shadow: those of the second face model, if there is one.
        voice_jobs: those of the runner of jobs, if they are taken.
        face_jobs: those of the runner of their photos, if they may be of photos.
        tracer_provider: for the spans of gRPC.
        metrics: the metrics and their content type; called in a thread.

    Raises:
        OSError: a file that the settings name cannot be read.
        ValueError: such a file is malformed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        voice: Remote,
        face: Remote,
        voice_shadow: Remote | None,
        face_shadow: Remote | None,
        voice_jobs: Remote | None,
        face_jobs: Remote | None,
        tracer_provider: TracerProvider,
        metrics: Callable[[], tuple[bytes, str]],
    ) -> None:
        self._settings = settings
        self._tls = ServerTls.from_settings(settings)
        self._tracer_provider = tracer_provider
        self._app = App(
            settings,
            voice=voice,
            face=face,
            voice_shadow=voice_shadow,
            face_shadow=face_shadow,
            voice_jobs=voice_jobs,
            face_jobs=face_jobs,
        )
        self._jobs: JobWorker | None = None
        self._http = HttpApi()
        self._sockets = WebSocketApi(lambda: self._http.app)
        self._audiosocket = AudioSocketServer(lambda: self._http.app)
        operator = OperatorApi(settings.operator_token, self._app.replaceable)
        self._private = PrivateServer(metrics, lambda: self.taking_calls, operator)
        self._draining: asyncio.Task[None] | None = None

    def routes(self) -> list[BaseRoute]:
        """The routes that BentoML serves on its port."""
        return self._http.routes(*self._sockets.routes()).routes

    def access(self) -> Access | None:
        """Who may call; None before the start."""
        return self._http.access()

    async def start(self) -> None:
        """Opens gRPC and the private port beside BentoML's HTTP, on the same event loop, and begins to take calls.

        Raises:
            SystemExit: no decoding process can be started, or a port is taken.
        """
        with refusal_to_start(Unavailable):
            await self._app.decoders.start()
        self._grpc = GrpcServer(self._app, self._tracer_provider, self._tls)
        with refusal_to_start(RuntimeError):
            await self._grpc.start()
        if self._settings.metrics_port is not None:
            with refusal_to_start(OSError):
                await self._private.start(
                    self._settings.metrics_host, self._settings.metrics_port, shared=self._settings.workers > 1
                )
        if self._settings.audiosocket_port is not None:
            with refusal_to_start(OSError):
                await self._audiosocket.start(
                    self._settings.audiosocket_host, self._settings.audiosocket_port, shared=self._settings.workers > 1
                )
        self._http.app = self._app
        self._watching = asyncio.create_task(self._app.watch_runners(self._grpc.report_health))
        self._watching_shadows = asyncio.create_task(self._app.shadows.watch())
        if self._app.feedback is not None:
            self._app.feedback.start()
        if self._app.job_work is not None:
            self._jobs = job_worker(self._app, self._app.job_work)
            self._jobs.start()
        drain_on_signal(self._begin_drain, self._settings.drain_s + 1)

    def _begin_drain(self) -> "asyncio.Task[None]":
        """Starts the drain, once; the task is done when no call is in progress."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return self._draining

    async def _drain(self) -> None:
        """Reports NOT_SERVING, gives back what jobs have in progress, and drains the calls."""
        self._http.leave()
        await self._grpc.set_not_serving()
        # Beside each other: a store of jobs that does not answer takes no time of the calls.
        await asyncio.gather(self._drain_jobs(), self._drain_calls())

    async def _drain_jobs(self) -> None:
        # At once: another process takes what is given back, and callers have the processor to themselves.
        if self._jobs is not None:
            await self._jobs.drain(0.0)

    async def _drain_calls(self) -> None:
        """Waits for load balancers, refuses new calls, and waits for those in progress."""
        await asyncio.sleep(min(self._settings.drain_notice_s, self._settings.drain_s))
        grace_s = max(0.0, self._settings.drain_s - self._settings.drain_notice_s)
        await asyncio.gather(self._http.drain(grace_s), self._grpc.stop(grace_s), self._app.live.drain(grace_s / 2))

    async def stop(self) -> None:
        """Drains, and closes ports, connections and threads."""
        draining = self._begin_drain()
        await asyncio.wait({draining})  # it was cancelled where it took too long, and what follows is done all the same
        if not draining.cancelled() and (error := draining.exception()) is not None:
            logger.error("the drain failed", exc_info=error)
        watches = (self._watching, self._watching_shadows)
        for each in watches:
            each.cancel()
        for ended in await asyncio.gather(*watches, return_exceptions=True):
            if isinstance(ended, Exception):
                logger.error("the watch of the runners had ended", exc_info=ended)
        if self._jobs is not None:
            await self._jobs.stop()
        self._http.app = None
        await self._audiosocket.stop()
        await self._private.stop()
        await self._app.close()

    @property
    def taking_calls(self) -> bool:
        """Whether both runners have responded within the last seconds, and no drain has begun."""
        return self._app.ready and self._draining is None
