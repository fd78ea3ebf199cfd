"""How BentoML's server treats WebSockets: it passes none of uvicorn's settings on, so they are set here.

Without it a message may have 16 MiB, compressed ones unpack to a thousand times what arrived, and a connection whose
peer does not read stays open for as long as its TCP does.
"""

from typing import Any

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from bonafide.bento.large_messages import TOO_LARGE, SkippingProtocol

GRACE_S = 5.0
"""From the close frame until the connection is cut, if the peer does not read it."""

_config_init = uvicorn.Config.__init__


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """Can be closed while data waits to be sent, and skips messages over the limit.

    Handlers find in the `state` of their scope `close_and_abort`, and `too_large`, the text that they get in place of
    a message that was skipped.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = SkippingProtocol(max_size=self.config.ws_max_size, logger=self.logger)

    def connection_made(self, transport: Any) -> None:
        """See uvicorn."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "close_and_abort": self.close_and_abort, "too_large": TOO_LARGE}

    async def send(self, message: Any) -> None:
        """See uvicorn, which raises RuntimeError for what is sent after our own close."""
        if self.close_sent and self.handshake_complete:
            raise ClientDisconnected
        await super().send(message)

    def close_and_abort(self, code: int, reason: str) -> None:
        """Sends the close frame past what waits, and soon afterwards resets the connection."""
        self.stop_keepalive()
        if self.conn.state is State.OPEN:
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_for_good()

    def keepalive_timeout(self) -> None:
        """See uvicorn, whose own close waits until the lost peer reads."""
        super().keepalive_timeout()
        self._close_for_good()

    def _close_for_good(self) -> None:
        self.transport.close()
        self.loop.call_later(GRACE_S, self.transport.abort)


def serve_websockets(max_message_bytes: int, ping_s: float) -> None:
    """Applies these settings to every uvicorn server that this process creates later.

    Args:
        max_message_bytes: a larger message is skipped.
        ping_s: seconds between pings, and for the answer to one.
    """
    ours = {
        "ws": AbortableWebSocket,
        "ws_max_size": max_message_bytes,
        "ws_ping_interval": ping_s,
        "ws_ping_timeout": ping_s,
        "ws_per_message_deflate": False,
    }

    def init(self: uvicorn.Config, *args: Any, **options: Any) -> None:
        _config_init(self, *args, **{**ours, **options})

    uvicorn.Config.__init__ = init  # type: ignore[method-assign]
