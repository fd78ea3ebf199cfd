"""A phone call through the running service: its verdict by call id and at the webhook, as of the same recording."""

import asyncio
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bonafide.api.telephony.audiosocket import HANGUP, ID, message
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.resampling import resample
from scripts.local_service import LocalService
from tests import phone
from tests.bonafide.live.receiver import receiver
from tests.integration.conftest import WEBHOOK_SECRET
from tests.integration.waiting import until
from tests.media import encode

pytestmark = [pytest.mark.slow, pytest.mark.beside]

RATE = 8_000
PATIENCE_S = 120.0


def as_on_the_phone(path: Path) -> bytes:
    """A WAV file of mu-law samples at 8 kHz."""
    blocks = list(MonoDecoder(path.read_bytes(), 2, 96_000).blocks())
    samples: NDArray[np.float32] = np.concatenate([block.samples for block in blocks])
    return encode(resample(samples[np.newaxis], blocks[0].rate, RATE), RATE, "wav-mulaw")


async def test_a_call_has_its_verdict_by_id_and_at_the_webhook(
    service: LocalService, http: httpx.AsyncClient, webhook_port: int, call_mp3: Path
) -> None:
    recording = as_on_the_phone(call_mp3)
    voice = list(phone.spoken(recording[recording.index(b"data") + 8 :]))

    async def verdict() -> dict[str, Any]:
        answer = await http.get(f"/calls/{phone.CALL}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    async def judged() -> bool:
        return bool((await verdict()).get("label", "no_speech") != "no_speech")

    async with receiver(webhook_port) as told:
        assert (await http.get(f"/calls/{phone.CALL}")).status_code == 404
        async with connect(f"ws://127.0.0.1:{service.http_port}/ws/twilio", compression=None) as socket:
            for frame in (phone.CONNECTED, phone.start(), *voice[:400], phone.mark("greeting over")):
                await socket.send(json.dumps(frame))
            async with asyncio.timeout(PATIENCE_S):
                assert json.loads(await socket.recv())["mark"] == {"name": "greeting over"}
                await until(judged, PATIENCE_S)
                assert (await verdict())["status"] == "in_progress"
                for frame in (*voice[400:], phone.DTMF, phone.STOP):
                    await socket.send(json.dumps(frame))
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
            assert socket.close_code == 1000
        found = await verdict()
        upload = (await http.post("/detect_audio", content=recording)).json()
        await told.wait_for(2)

    assert (found["call_id"], found["status"], found["reason"]) == (phone.CALL, "done", "end")
    assert len(found["windows"]) == len(upload["chunks"]) == 3
    # The last one is shorter, and padded in a recording; bf16 may round the last digits differently in another batch.
    scores = pytest.approx([each["score"] for each in upload["chunks"][:2]], abs=0.02)
    assert [each["p_spoof"] for each in found["windows"][:2]] == scores
    assert (found["label"], found["model"]["version"]) == (upload["label"], upload["model"]["version"])
    documents = {document["status"]: document for document in map(json.loads, told.bodies)}
    assert documents["done"] == found
    assert documents["in_progress"]["call_id"] == phone.CALL
    for head, body in zip(told.heads, told.bodies, strict=True):
        signature = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert f"x-bonafide-signature: sha256={signature}" in head.lower()


async def test_a_call_of_audiosocket_has_the_verdict_of_its_recording(
    service: LocalService, http: httpx.AsyncClient, audiosocket_port: int, call_mp3: Path
) -> None:
    blocks = list(MonoDecoder(call_mp3.read_bytes(), 2, 96_000).blocks())
    samples: NDArray[np.float32] = np.concatenate([block.samples for block in blocks])
    recording = encode(resample(samples[np.newaxis], blocks[0].rate, RATE), RATE)
    audio = recording[recording.index(b"data") + 8 :]
    call = uuid.uuid4()
    parts = (message(0x10, audio[first : first + 320]) for first in range(0, len(audio), 320))
    reader, writer = await asyncio.open_connection("127.0.0.1", audiosocket_port)
    writer.write(message(ID, call.bytes) + b"".join(parts) + message(HANGUP))
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == message(HANGUP)
    writer.close()
    await writer.wait_closed()
    found = (await http.get(f"/calls/{call}")).json()
    upload = (await http.post("/detect_audio", content=recording)).json()
    assert (found["status"], found["reason"], found["label"]) == ("done", "end", upload["label"])
    scores = pytest.approx([each["score"] for each in upload["chunks"][:2]], abs=0.02)
    assert [each["p_spoof"] for each in found["windows"][:2]] == scores
