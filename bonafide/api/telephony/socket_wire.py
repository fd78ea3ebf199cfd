"""A WebSocket as the wire of a phone call."""

from starlette.websockets import WebSocket, WebSocketDisconnect

from bonafide.api.telephony.conversation import Gone
from bonafide.api.telephony.events import Content
from bonafide.errors import TooLarge


class SocketWire:
    """See `conversation.Wire`.

    Args:
        websocket: accepted before the first frame is read.
        max_bytes: of a message.
    """

    def __init__(self, websocket: WebSocket, max_bytes: int) -> None:
        self._websocket = websocket
        self._max_bytes = max_bytes

    async def receive(self) -> Content | None:
        """See `conversation.Wire`."""
        frame = await self._websocket.receive()
        if frame["type"] == "websocket.disconnect":
            return None
        text: str | None = frame.get("text")
        if text is None:
            return bytes(frame.get("bytes") or b"")
        if text == self._websocket.state.too_large:
            raise TooLarge(f"a message may have at most {self._max_bytes} bytes")
        return text

    async def send(self, content: Content) -> None:
        """See `conversation.Wire`."""
        try:
            if isinstance(content, str):
                await self._websocket.send_text(content)
            else:
                await self._websocket.send_bytes(content)
        except WebSocketDisconnect as error:
            raise Gone from error
