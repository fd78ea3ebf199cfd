"""The protocols here and the serializers of pipecat-ai read the same frames alike, and answer alike."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonafide.api.telephony.events import Content, Media, PhoneProtocol, Reply
from bonafide.api.telephony.fields import Address
from bonafide.api.telephony.genesys import GenesysProtocol
from bonafide.api.telephony.telnyx import TelnyxProtocol
from bonafide.api.telephony.twilio import TwilioProtocol
from bonafide.api.telephony.vonage import VonageProtocol
from bonafide.live.formats import RawDecoder, RawEncoding
from bonafide.live.session import Ending
from tests import phone
from tests.bonafide.api.telephony.exchanges import Genesys, mulaw, pcm, pieces, telnyx_media, telnyx_start

PYTHON = os.environ.get("PIPECAT_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="needs PIPECAT_PYTHON, a Python that has pipecat-ai")

TELNYX: list[Content] = [telnyx_media(n + 2, part) for n, part in enumerate(pieces(mulaw(1), 160))]


def pipecat(provider: str, rate: int, frames: list[Content]) -> list[Any]:
    coded = [{"base64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in frames]
    asked = json.dumps({"provider": provider, "rate": rate, "frames": coded})
    script = Path(__file__).with_name("pipecat_peer.py")
    done = subprocess.run([PYTHON, script], input=asked, capture_output=True, text=True, timeout=120, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("provider", "protocol", "encoding", "rate", "frames"),
    [
        ("twilio", TwilioProtocol(), "mulaw", 8_000, [json.dumps(each) for each in phone.spoken(mulaw(1))]),
        (
            "telnyx",
            TelnyxProtocol(Address()),
            "mulaw",
            8_000,
            TELNYX,
        ),
        ("vonage", VonageProtocol(Address(call_id="a")), "pcm16", 16_000, pieces(pcm(1, 16_000), 640)),
    ],
)
def test_the_same_samples(
    provider: str, protocol: PhoneProtocol, encoding: RawEncoding, rate: int, frames: list[Content]
) -> None:
    connected = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}
    first = {"twilio": json.dumps(phone.start()), "telnyx": telnyx_start(), "vonage": json.dumps(connected)}
    theirs = b"".join(base64.b64decode(each["base64"]) for each in pipecat(provider, rate, frames))
    list(protocol.read(first[provider]))
    decoder = RawDecoder(encoding)
    ours = [decoder.feed(event.data) for each in frames for event in protocol.read(each) if isinstance(event, Media)]
    assert np.concatenate(ours).tobytes() == (np.frombuffer(theirs, "<i2") / np.float32(32_768)).tobytes()


def test_the_same_answers_to_genesys() -> None:
    client, protocol = Genesys(), GenesysProtocol(Address())
    frames: list[Content] = [
        client.open("090eaa2f-72fa-480a-83e0-8667ff89c0ec", ["external"]),
        mulaw(1),
        client.message("ping"),
        client.message("close", reason="end"),
    ]
    theirs = pipecat("genesys", 8_000, frames)
    ours = []
    for frame in frames:
        ours += [json.loads(event.make()) for event in protocol.read(frame) if isinstance(event, Reply)]
    ending_message = protocol.ending_message(Ending.END)
    assert ending_message is not None
    ours.append(json.loads(ending_message()))
    answers = [each for each in theirs if each is not None and "type" in each]
    for mine, other in zip(ours, answers, strict=True):
        shared = ("version", "type", "seq", "clientseq", "id", "parameters")
        assert {key: mine[key] for key in shared} == {key: other[key] for key in shared}
