"""Genesys AudioHook, version 2: `/ws/genesys`. PCMU at 8 kHz, one or two channels, and numbered JSON messages.

Verdicts are sent as `event` messages, with one entity of type `bonafide_verdict`.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from bonafide.api.telephony.call_verdict import call_verdict
from bonafide.api.telephony.events import Begin, Content, Ended, Event, Make, Media, Notes, Reply
from bonafide.api.telephony.fields import Address, Frame, read_object, refuse
from bonafide.errors import BonafideError, InvalidRequest, Unauthenticated
from bonafide.live.input_decoder import G711_RATE
from bonafide.live.phone_calls import PhoneVerdict
from bonafide.live.session import Ending

_UUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_NO_CALL = "00000000-0000-0000-0000-000000000000"
"""Id of the conversation of a probe, which checks the connection and sends no audio."""
_DURATION = re.compile(r"PT(\d{1,9}(?:\.\d{1,9})?)S")
_SIDES = {"inbound": ["external"], "outbound": ["internal"], "both": ["external", "internal"]}
_Number = Annotated[int, Field(ge=0, lt=2**53)]


class _Message(Frame):
    version: Literal["2"]
    id: str = Field(pattern=_UUID)
    type: str = Field(max_length=64)
    seq: _Number
    serverseq: _Number
    parameters: dict[str, Any] = Field(default_factory=dict)


class _Offer(Frame):
    type: str
    format: str
    channels: list[str] = Field(max_length=16)
    rate: int


class _Open(Frame):
    organizationId: str = Field(pattern=_UUID)
    conversationId: str = Field(pattern=_UUID)
    media: list[_Offer] = Field(max_length=64)


class _Discarded(Frame):
    discarded: str = Field(max_length=64)


class GenesysProtocol:
    """One session.

    Args:
        address: the query's `track` chooses among the offered media: the caller (`inbound`), the agent, or both.
        session_id: of the header `audiohook-session-id`; None: not compared.
        organization_id: of the header `audiohook-organization-id`; None: not compared.
    """

    def __init__(self, address: Address, session_id: str | None = None, organization_id: str | None = None) -> None:
        self._wanted = _SIDES[address.track]
        self._mode = address.mode
        self._id = session_id
        self._organization_id = organization_id
        self._seq = self._clientseq = 0
        self._state: Literal["new", "probe", "open", "closing", "closed"] = "new"
        self._has_parted = False
        self._missing: list[str] = []
        self._discarded_s: float | None = None
        self._has_failed = False

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if isinstance(content, bytes):
            if self._state not in ("open", "closing"):
                raise InvalidRequest("audio came before open, or after close")
            if self._state == "open":
                yield Media(content)
            return
        message = self._numbered(content)
        if self._state == "new" and message.type != "open":
            raise InvalidRequest("the first message must be open")
        match message.type:  # others, such as paused, resumed and dtmf, change nothing
            case "open":
                yield from self._open(message.parameters)
            case "ping":
                yield Reply(lambda: self._text("pong", {}))
            case "close":
                yield from self._close()
            case "discarded":
                yield from self._discard(message.parameters)
            case "update":
                yield Reply(lambda: self._text("updated", {}))
            case "error":
                self._has_failed = True
                yield self._notes()

    def rest(self) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        return iter(())

    def verdict_message(self, verdict: PhoneVerdict) -> Make | None:
        """See `PhoneProtocol`."""
        document = json.loads(call_verdict(verdict))
        entity = {"type": "bonafide_verdict", "data": document}
        return lambda: self._text("event", {"entities": [entity]})

    def ending_message(self, ending: Ending) -> Make | None:
        """See `PhoneProtocol`."""
        if self._state == "closed":
            self._has_parted = True
            return lambda: self._text("closed", {})
        self._state = "closing"
        return lambda: self._text("disconnect", {"reason": "completed", "info": ending.value})

    def refusal(self, error: BonafideError) -> Make | None:
        """See `PhoneProtocol`."""
        reason = "unauthorized" if isinstance(error, Unauthenticated) else "error"
        return lambda: self._text("disconnect", {"reason": reason, "info": f"{error.code.value}: {error.message}"})

    @property
    def awaits_close(self) -> bool:
        """See `PhoneProtocol`."""
        return self._state == "closing" and not self._has_parted

    def _numbered(self, text: str) -> _Message:
        """A message whose numbers are right."""
        try:
            message = _Message.model_validate(read_object(text))
        except ValidationError as error:
            refuse(error)
        if message.seq != self._clientseq + 1:
            raise InvalidRequest("seq must rise by one")
        self._clientseq = message.seq
        if message.serverseq > self._seq:
            raise InvalidRequest("serverseq is higher than what was sent")
        if self._id is None:
            self._id = message.id
        if message.id.lower() != self._id.lower():
            raise InvalidRequest("id is another session's")
        return message

    def _open(self, parameters: dict[str, Any]) -> Iterator[Event]:
        if self._state != "new":
            raise InvalidRequest("a session opens once")
        try:
            found = _Open.model_validate(parameters)
        except ValidationError as error:
            refuse(error, "parameters.")
        if self._organization_id is not None and found.organizationId.lower() != self._organization_id.lower():
            raise Unauthenticated("organizationId is not that of the handshake")
        if found.conversationId == _NO_CALL:
            self._state = "probe"
            yield Reply(lambda: self._text("opened", {"startPaused": False, "media": []}))
            return
        offer = self._chosen(found.media)
        self._state = "open"
        self._missing = [side for side in self._wanted if side not in offer.channels]
        sides = tuple(side[:32] for side in offer.channels)
        yield Begin(found.conversationId, self._id or "", "mulaw", G711_RATE, len(sides), self._mode, sides)
        if self._missing:
            yield self._notes()
        yield Reply(lambda: self._text("opened", {"startPaused": False, "media": [offer.model_dump()]}))

    def _chosen(self, offers: list[_Offer]) -> _Offer:
        """The wanted sides alone if they are offered, else with the other, else the first offer that can be read."""
        usable = [
            offer
            for offer in offers
            if (offer.type, offer.format, offer.rate) == ("audio", "PCMU", G711_RATE) and len(offer.channels) in (1, 2)
        ]
        if not usable:
            raise InvalidRequest("parameters.media: PCMU at 8000 Hz with 1 or 2 channels is not offered")
        holding = [offer for offer in usable if set(self._wanted) <= set(offer.channels)]
        return next((offer for offer in holding if offer.channels == self._wanted), (holding or usable)[0])

    def _close(self) -> Iterator[Event]:
        if self._state == "closing":  # the answer to our disconnect
            self._has_parted = True
            yield Reply(lambda: self._text("closed", {}))
            return
        self._state = "closed"
        yield Ended()

    def _discard(self, parameters: dict[str, Any]) -> Iterator[Event]:
        try:
            found = _DURATION.fullmatch(_Discarded.model_validate(parameters).discarded)
        except ValidationError as error:
            refuse(error, "parameters.")
        self._discarded_s = (self._discarded_s or 0.0) + (float(found[1]) if found else 0.0)
        yield self._notes()

    def _notes(self) -> Notes:
        texts = [f"not judged, as no offer of the exchange has all that is wanted: {side}" for side in self._missing]
        if self._discarded_s is not None:
            texts.append(f"{self._discarded_s:.2f} s of the stream were discarded by the exchange")
        if self._has_failed:
            texts.append("the exchange reported an error")
        return Notes(tuple(texts))

    def _text(self, kind: str, parameters: dict[str, Any]) -> str:
        """A message of ours with the next number."""
        self._seq += 1
        return json.dumps(
            {
                "version": "2",
                "id": self._id or _NO_CALL,
                "type": kind,
                "seq": self._seq,
                "clientseq": self._clientseq,
                "parameters": parameters,
            }
        )
