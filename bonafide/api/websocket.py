"""The WebSockets: which handshakes are accepted, and how each socket is closed; `websocket_*` serve the messages."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from bonafide.api.origins import require_own_page
from bonafide.api.refusals import refusal
from bonafide.api.telephony.paths import TWILIO_PATH, open_paths
from bonafide.api.telephony.protocols import PROTOCOLS, phone_conversation, require_provider
from bonafide.api.websocket_detect import DetectConversation
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import BonafideError, Internal, Unavailable
from bonafide.live.scoring import SlowReader
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary
from bonafide.security.caller import current_caller
from bonafide.telemetry import observed

DETECT_PATH = "/ws/detect"
GOING_AWAY, POLICY, INTERNAL = 1001, 1008, 1011
_CLOSE = {
    Ending.END: (1000, ""),
    Ending.IDLE: (POLICY, "idle"),
    Ending.SESSION_LIMIT: (POLICY, "session_limit"),
    Ending.GOING_AWAY: (GOING_AWAY, "going_away"),
}


class Conversation(Protocol):
    """Serves a socket until one side ends it."""

    async def run(self) -> LiveSummary:
        """Raises WebSocketDisconnect when the client has disconnected."""


MakeConversation = Callable[[WebSocket, LiveStream, App], Conversation]
"""Made before the socket is accepted; raises BonafideError if the handshake is to be refused."""


class WebSocketApi:
    """The routes' handlers.

    Args:
        app: the use cases; None while the service starts.
    """

    def __init__(self, app: Callable[[], App | None]) -> None:
        self._app = app

    def routes(self) -> list[BaseRoute]:
        """The routes to mount."""
        return [
            WebSocketRoute(DETECT_PATH, self.detect),
            *(WebSocketRoute(path, self.phone) for path in PROTOCOLS),
            WebSocketRoute("/{path:path}", self.unknown),
        ]

    async def detect(self, websocket: WebSocket) -> None:
        """Serves one socket of `/ws/detect`. Never raises."""
        await self._serve(websocket, "detect", DetectConversation)

    async def phone(self, websocket: WebSocket) -> None:
        """Serves one phone call, if the settings open this door. Never raises."""
        path, app = websocket.url.path, self._app()
        if app is not None and path != TWILIO_PATH and path not in open_paths(app.settings):
            await self.unknown(websocket)
        else:
            await self._serve(websocket, path.rpartition("/")[2], phone_conversation)

    async def unknown(self, websocket: WebSocket) -> None:
        """Answers that no socket is there; Starlette would say that it is forbidden."""
        await _deny(
            websocket, PlainTextResponse(f"Not Found; sockets are at {DETECT_PATH}, without a slash behind it\n", 404)
        )

    async def _serve(self, websocket: WebSocket, method: str, conversation: MakeConversation) -> None:
        call = Call.within(math.inf, request_id=websocket.headers.get("x-request-id"))
        app = self._app()
        try:
            async with observed("websocket", method, call):
                if app is None:
                    raise Unavailable("the service is starting")
                caller = current_caller()
                require_provider(websocket, app.settings)
                if not caller:  # a page of another site has no key
                    require_own_page(websocket.headers, app.settings.allowed_origins)
                with app.live.open(call, caller) as stream:
                    served = conversation(websocket, stream, app)
                    try:
                        await _accept(websocket)
                        summary = await served.run()
                        await _close(websocket, summary.ending)
                    except WebSocketDisconnect:
                        pass  # the client closed the socket, or it was closed for a protocol error
        except BonafideError as error:
            if websocket.application_state is WebSocketState.CONNECTING:
                await _refuse(websocket, error, call, full=app is not None and app.live.full)
            else:
                reason = "slow_reader" if isinstance(error, SlowReader) else error.code.value
                websocket.state.close_and_abort(INTERNAL if isinstance(error, Internal) else POLICY, reason)


async def _accept(websocket: WebSocket) -> None:
    """Raises WebSocketDisconnect when the client has left."""
    try:
        await websocket.accept()
    except OSError as error:  # which Starlette translates for what is sent later
        raise WebSocketDisconnect(1006) from error


async def _close(websocket: WebSocket, ending: Ending) -> None:
    """Closes a socket, unless the client was found to have left when something was sent."""
    if websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(*_CLOSE[ending])


async def _refuse(websocket: WebSocket, error: BonafideError, call: Call, *, full: bool) -> None:
    """Rejects the handshake with the status of HTTP, but with 503 when no session could be opened."""
    response = refusal(error, call)
    if full:
        response.status_code = 503
    await _deny(websocket, response)


async def _deny(websocket: WebSocket, response: Response) -> None:
    with suppress(OSError):  # the client has left
        await websocket.send_denial_response(response)
