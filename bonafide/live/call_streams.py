"""Which stream of a phone call its verdict is on: one at a time in a process, or each would overwrite the other's."""

from bonafide.errors import InvalidRequest
from bonafide.live.stream import LiveStream

LOST_S = 5.0
"""An exchange sends all the time. One that has said nothing for so long has lost its connection, and may come again."""


class CallStreams:
    """The open streams of calls by call id."""

    def __init__(self) -> None:
        self._streams: dict[str, LiveStream] = {}

    def begin(self, call_id: str, stream: LiveStream) -> None:
        """Makes it the call's stream, in the place of one that has ended, or is lost and ended now.

        Raises:
            InvalidRequest: the call has another stream, on which audio comes.
        """
        other = self._streams.get(call_id)
        if other is not None:
            if other.silent_s < LOST_S:
                raise InvalidRequest(
                    "another stream of this call is open: send both parties on one, or name another id"
                )
            other.drain()
        self._streams[call_id] = stream

    def is_current(self, call_id: str, stream: LiveStream) -> bool:
        """Whether the call's verdict is on this stream."""
        return self._streams.get(call_id) is stream

    def end(self, call_id: str, stream: LiveStream) -> None:
        """Lets another stream of the call begin."""
        if self.is_current(call_id, stream):
            del self._streams[call_id]
