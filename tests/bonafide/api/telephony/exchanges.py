"""Messages of each exchange as its public documentation shows them, and sockets to send them on."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bonafide.api.telephony.call_verdict import CallVerdict
from bonafide.settings import Settings
from tests.bonafide.api.socket_server import SocketServer

OPEN = Settings(asterisk_websocket=True, freeswitch=True, telnyx=True, vonage=True, genesys=True)
CALL = "v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"
SESSION, CONVERSATION = "e160e428-53e2-487c-977d-96989bf5c99d", "090eaa2f-72fa-480a-83e0-8667ff89c0ec"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
LOUD, SILENT = b"\x9f", b"\xff"
"""Of mu-law."""


def mulaw(seconds: float) -> bytes:
    """Of every half second at 8 kHz three quarters are not silent."""
    return (LOUD * 3_000 + SILENT * 1_000) * round(seconds * 2)


def pcm(seconds: float, rate: int, channels: int = 1) -> bytes:
    """The same as 16 bit samples, little-endian."""
    half = np.zeros(rate // 2, "<i2")
    half[: len(half) * 3 // 4] = 16_000
    return np.repeat(np.tile(half, round(seconds * 2)), channels).tobytes()


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def telnyx_start(**media_format: Any) -> str:
    return json.dumps(
        {
            "event": "start",
            "sequence_number": "1",
            "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
            "start": {
                "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
                "call_control_id": CALL,
                "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1, **media_format},
            },
        }
    )


def telnyx_media(number: int, data: bytes, track: str = "inbound") -> str:
    media = {"track": track, "chunk": str(number), "timestamp": str(20 * number)}
    payload = {**media, "payload": base64.b64encode(data).decode()}
    return json.dumps({"event": "media", "sequence_number": str(number), "media": payload, "stream_id": "32DE0DEA"})


class Genesys:
    """The client's side of AudioHook: numbers what it sends."""

    def __init__(self) -> None:
        self.seq = self.serverseq = 0

    def message(self, kind: str, **parameters: Any) -> str:
        self.seq += 1
        head = {"version": "2", "id": SESSION, "type": kind, "seq": self.seq, "serverseq": self.serverseq}
        return json.dumps({**head, "position": "PT0S", "parameters": parameters})

    def open(self, conversation: str = CONVERSATION, *channels: list[str]) -> str:
        offers = channels or (["external", "internal"], ["external"], ["internal"])
        return self.message(
            "open",
            organizationId=ORGANIZATION,
            conversationId=conversation,
            participant={"id": SESSION, "ani": "+1-555-555-1234", "aniName": "John Doe", "dnis": "+1-800-555-6789"},
            media=[{"type": "audio", "format": "PCMU", "channels": each, "rate": 8000} for each in offers],
        )

    async def receive(self, socket: ClientConnection, kind: str) -> Any:
        """The next message of this kind; checks the numbers of all before it."""
        async with asyncio.timeout(60):
            while True:
                found = json.loads(await socket.recv())
                assert (found["version"], found["id"], found["seq"]) == ("2", SESSION, self.serverseq + 1)
                assert found["clientseq"] <= self.seq
                self.serverseq += 1
                if found["type"] == kind:
                    return found["parameters"]


@asynccontextmanager
async def socket(server: SocketServer, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}/ws/{path}"
    async with connect(url, compression=None, max_size=None, **options) as found:
        yield found


async def closed(found: ClientConnection) -> tuple[int | None, str | None, list[Any]]:
    """Code and reason of the server's close, and the text frames before it."""
    texts = []
    async with asyncio.timeout(60):
        with suppress(ConnectionClosed):
            while True:
                texts.append(await found.recv())
    return found.close_code, found.close_reason, texts


async def verdict(server: SocketServer, call_id: str) -> CallVerdict:
    """The verdict on a call that is over."""
    found = None
    async with asyncio.timeout(60):
        while found is None or found.status != "done":
            await asyncio.sleep(0.02)
            document = await server.calls.get(call_id)
            found = CallVerdict.model_validate_json(document) if document else None
    return found
