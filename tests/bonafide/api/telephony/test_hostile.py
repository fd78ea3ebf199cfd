"""Whatever arrives, each protocol reads it or raises an error of the table, and holds a bounded number of bytes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.api.telephony.asterisk import AsteriskProtocol
from bonafide.api.telephony.audiosocket import RATES, AudioSocketProtocol, message
from bonafide.api.telephony.events import Content, Event, Media, Notes, PhoneProtocol, Reply
from bonafide.api.telephony.fields import Address
from bonafide.api.telephony.freeswitch import FreeSwitchProtocol
from bonafide.api.telephony.genesys import GenesysProtocol
from bonafide.api.telephony.genesys_signature import require_genesys_signature
from bonafide.api.telephony.reorder import Reorder
from bonafide.api.telephony.telnyx import MOST_WAITING, TelnyxProtocol
from bonafide.api.telephony.twilio import TwilioProtocol
from bonafide.api.telephony.vonage import VonageProtocol
from bonafide.errors import BonafideError, InvalidRequest, Unauthenticated
from tests.bonafide.api.telephony.exchanges import Genesys, telnyx_media, telnyx_start
from tests.bonafide.api.telephony.test_genesys_signature import HEADERS, SETTINGS

PROTOCOLS: dict[str, Callable[[], PhoneProtocol]] = {
    "twilio": TwilioProtocol,
    "telnyx": lambda: TelnyxProtocol(Address()),
    "telnyx both": lambda: TelnyxProtocol(Address(track="both")),
    "vonage": lambda: VonageProtocol(Address()),
    "freeswitch": lambda: FreeSwitchProtocol(Address()),
    "asterisk": lambda: AsteriskProtocol(Address()),
    "genesys": lambda: GenesysProtocol(Address()),
    "audiosocket": AudioSocketProtocol,
}
NAMES = [
    "event",
    "type",
    "start",
    "media",
    "stop",
    "open",
    "close",
    "ping",
    "seq",
    "serverseq",
    "id",
    "version",
    "parameters",
    "content-type",
    "format",
    "channels",
    "rate",
    "sequence_number",
    "payload",
    "track",
    "media_format",
    "encoding",
    "call_control_id",
    "connection_id",
    "channel_id",
    "conversationId",
    "organizationId",
    "discarded",
    "command",
    "uuid",
    "call_id",
    "sample_rate",
]
WORDS = st.sampled_from(
    [*NAMES, "MEDIA_START", "websocket:connected", "audio/l16;rate=16000", "PCMU", "ulaw", "2", "audio"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)
FRAMES: st.SearchStrategy[Content] = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=80),
    VALUES.map(json.dumps),
    st.builds(telnyx_media, st.integers(), st.binary(max_size=4)),
    st.just(telnyx_start()),
    st.builds(message, st.sampled_from([0, 1, 2, 3, 255, *RATES]), st.binary(min_size=14, max_size=18)),
    st.lists(st.tuples(WORDS, WORDS)).map(lambda pairs: "MEDIA_START " + " ".join(":".join(pair) for pair in pairs)),
)


def read(protocol: PhoneProtocol, content: Content) -> list[Event]:
    try:
        events = list(protocol.read(content))
    except BonafideError as error:
        if make := protocol.refusal(error):
            assert make()
        return []
    for event in events:
        if isinstance(event, Reply):
            assert event.make()
    return events


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=60, deadline=None)
@given(frames=st.lists(FRAMES, max_size=8))
def test_anything(name: str, frames: list[Content]) -> None:
    protocol = PROTOCOLS[name]()
    for frame in frames:
        read(protocol, frame)
    list(protocol.rest())


@pytest.mark.parametrize("field", ['"parameters": [[],', '"parameters": [{},', '"x": 1,'])
@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "audiosocket"])
def test_a_frame_of_lists_or_fields_is_refused_before_it_is_read(name: str, field: str) -> None:
    # One of 2 MB took up to three seconds, in which nobody else was answered.
    text = '{"event": "x", "type": "x", ' + field * 10_000
    with pytest.raises(InvalidRequest, match="more than 10000 lists"):
        list(PROTOCOLS[name]().read(text))


def test_half_a_surrogate_pair_is_no_json() -> None:
    started = {"event": "MEDIA_START", "format": "ulaw", "channel_id": "c-1", "connection_id": "\ud800"}
    with pytest.raises(InvalidRequest, match="no JSON"):
        list(AsteriskProtocol(Address()).read(json.dumps(started)))


@settings(max_examples=60, deadline=None)
@given(
    parameters=VALUES, kinds=st.lists(st.sampled_from(["open", "close", "ping", "discarded", "update", "error", "x"]))
)
def test_numbered_messages_of_genesys_with_any_parameters(parameters: Any, kinds: list[str]) -> None:
    protocol, client = GenesysProtocol(Address()), Genesys()
    read(protocol, client.open())
    for kind in kinds:
        found = json.loads(client.message(kind))
        read(protocol, json.dumps({**found, "parameters": parameters}))


@settings(max_examples=50, deadline=None)
@given(stream=st.binary(max_size=300), cuts=st.lists(st.integers(1, 40), min_size=1))
def test_audiosocket_holds_no_more_than_one_message(stream: bytes, cuts: list[int]) -> None:
    whole, cut = AudioSocketProtocol(), AudioSocketProtocol()
    stream = message(1, bytes(16)) + message(0x10, stream) + stream
    together = b"".join(event.data for event in read(whole, stream) if isinstance(event, Media))
    apart = b""
    at = turn = 0
    try:
        while at < len(stream):
            step = cuts[turn % len(cuts)]
            apart += b"".join(event.data for event in cut.read(stream[at : at + step]) if isinstance(event, Media))
            assert len(cut._held) <= 65_538
            at, turn = at + step, turn + 1
    except BonafideError:
        return
    assert apart == together or not together


@pytest.mark.parametrize("payload", [b"", b"\1", b"\1\2", bytes(320), bytes(16_001)])
def test_messages_of_audiosocket_that_come_together_are_few_events(payload: bytes) -> None:
    # An event for each of a part without samples left nobody else a turn, for as long as they came.
    protocol = AudioSocketProtocol()
    list(protocol.read(message(1, bytes(16))))
    events = read(protocol, (message(0x10, payload) + message(2) + message(3, b"5")) * 1_000)
    media = [event.data for event in events if isinstance(event, Media)]
    assert b"".join(media) == payload * 1_000
    assert len(events) <= 2 + 2 * len(payload) // 16
    assert max(map(len, media), default=0) <= max(16_000, len(payload)), "a second, that no limit may refuse"


def test_large_messages_that_wait_for_a_lost_one_are_bounded_in_bytes() -> None:
    protocol = TelnyxProtocol(Address())
    read(protocol, telnyx_start())
    events = [read(protocol, telnyx_media(number, bytes(300_000))) for number in range(3, 9)]
    media = [[event for event in each if isinstance(event, Media)] for each in events]
    assert list(map(len, media)) == [0, 0, 0, 4, 1, 1]


@pytest.mark.parametrize(
    ("track", "encoding", "told"), [("both", "G722", 1), ("both", "PCMA", 0), ("outbound", "G722", 0)]
)
def test_that_one_of_both_tracks_of_telnyx_is_judged_is_told(track: str, encoding: str, told: int) -> None:
    protocol = TelnyxProtocol(Address(track=track))
    said = ("only the inbound track is judged: those of G722 cannot be interleaved",) * told
    _, *notes = read(protocol, telnyx_start(encoding=encoding))
    assert notes == [Notes(said)] * told
    read(protocol, telnyx_media(3, b"\xff"))
    later, *_ = protocol.rest()
    assert later == Notes((*said, "1 messages of the stream were lost, in 1 gaps"))


def test_what_an_exchange_of_genesys_reports_stays_told() -> None:
    protocol, client = GenesysProtocol(Address()), Genesys()
    read(protocol, client.open())
    read(protocol, client.message("discarded", discarded="PT1.5S"))
    (notes,) = read(protocol, client.message("error", code=500))
    assert notes == Notes(("1.50 s of the stream were discarded by the exchange", "the exchange reported an error"))


@settings(max_examples=80, deadline=None)
@given(numbers=st.lists(st.integers(0, 200), max_size=120))
def test_reordering_is_in_order_without_repeats_and_bounded(numbers: list[int]) -> None:
    order = Reorder[int](MOST_WAITING, 2**20)
    order.start(-1)
    out: list[int] = []
    for number in numbers:
        out += order.add(number, number)
        assert len(order._waiting) <= MOST_WAITING
    out += order.flush()
    assert out == sorted(set(out))
    assert len(out) + order.duplicates == len(numbers)
    assert order.lost == (max(out) + 1 - len(out) if out else 0)


@settings(max_examples=60, deadline=None)
@given(described=st.text(max_size=200), signed=st.text(max_size=80))
def test_any_signature_is_refused(described: str, signed: str) -> None:
    with pytest.raises(Unauthenticated):
        require_genesys_signature({**HEADERS, "signature-input": described, "signature": signed}, "/", SETTINGS, 0.0)
