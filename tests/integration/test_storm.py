"""A thousand good, bad and truncated requests at once; afterwards the service must still give correct results.

After mosec's `tests/bad_req.py`.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from bonafide_client import AsyncBonafideClient, BonafideError, ObjectNotFound
from scripts.local_service import LocalService
from tests.hostile import mutate
from tests.integration.logs import assert_told, lines_with, tracebacks
from tests.integration.processes import process_of
from tests.integration.waiting import Stopwatch, wait_active
from tests.media import encode, encode_image, photo, speech_like

pytestmark = [pytest.mark.slow, pytest.mark.beside]

CONCURRENCY = 16
WARM_UP, REQUESTS = 350, 850
STORM_S = 100.0
"""Alone it takes some 10 s; a request that hangs ends with its client's patience, after 120 s."""
MIB = 2**20
GROWTH = 31 * MIB
"""Of the service between the end of the warm-up and the end of the storm: the allocator's breath, no leak."""
SPARE_DESCRIPTORS = 2 * CONCURRENCY

# A fixed stock, so that the memory cache is as full after the warm-up as it is after the storm.
CALL = encode(speech_like(5), 16_000)
SHORT = [encode(speech_like(0.5 + index / 10, seed=index), 16_000) for index in range(20)]
FACE = encode_image(photo())
PATHS = ["/analyze_audio", "/predict_liveness", "/detect_audio", "/nothing", "/../etc", "/stats"]
NONSENSE = [b"", b"{", b"[]", b'{"bucket": 1}', b"\xff" * 99, b'{"bucket": "a", "key": ""}']
REFUSALS = {400, 404, 405, 413, 422}

Request = Callable[[], Awaitable[str]]


class Caller:
    """Sends one kind of request at a time and returns its outcome; raises when it ended in no acceptable way."""

    def __init__(self, service: LocalService, client: AsyncBonafideClient, http: httpx.AsyncClient) -> None:
        self._service = service
        self._client = client
        self._http = http
        self._random = random.Random(11)
        chance = np.random.default_rng(7)
        sounds = [encode(speech_like(2, 44_100), 44_100, kind) for kind in ("mp3", "wav-u8", "flac")]
        self._broken_calls = [mutate(sound, chance) for sound in sounds for _ in range(8)]
        self._broken_faces = [mutate(FACE, chance) for _ in range(30)]
        self.kinds: list[Request] = [
            self.good_upload,
            self.good_photo,
            self.good_post,
            self.stored,
            self.broken_upload,
            self.broken_photo,
            self.broken_post,
            self.nonsense_post,
            self.missing_object,
            self.upload_given_up,
            self.post_given_up,
            self.truncated_body,
            self.truncated_chunks,
            self.truncated_head,
            self.noise_at_http,
            self.noise_at_grpc,
            self.truncated_http2,
        ]

    async def good_upload(self) -> str:
        assert (await self._client.analyze_file(self._random.choice(SHORT))).chunks
        return "ok"

    async def good_photo(self) -> str:
        assert (await self._client.predict_liveness(FACE)).label in ("fake", "live")
        return "ok"

    async def good_post(self) -> str:
        answer = await self._http.post("/detect_audio", content=self._random.choice(SHORT))
        assert answer.status_code == 200
        return "ok"

    async def stored(self) -> str:
        assert len((await self._client.analyze_object("samples", "call.mp3")).chunks) == 3
        return "ok"

    async def broken_upload(self) -> str:
        try:
            await self._client.analyze_file(self._random.choice(self._broken_calls))
        except BonafideError as error:
            if error.code not in ("unreadable_media", "too_large"):
                raise
            return "refused"
        return "ok"

    async def broken_photo(self) -> str:
        answer = await self._http.post("/predict_liveness", content=self._random.choice(self._broken_faces))
        assert answer.status_code in {200, 413, 422}
        return "ok" if answer.status_code == 200 else "refused"

    async def broken_post(self) -> str:
        answer = await self._http.post("/detect_audio", content=self._random.choice(self._broken_calls))
        assert answer.status_code in {200, 413, 422}
        return "ok" if answer.status_code == 200 else "refused"

    async def nonsense_post(self) -> str:
        path = self._random.choice(PATHS)
        content = self._random.choice(NONSENSE)
        answer = await self._http.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in REFUSALS, (path, content, answer.status_code)
        return "refused"

    async def missing_object(self) -> str:
        with pytest.raises(ObjectNotFound):
            await self._client.analyze_object("samples", "none.mp3")
        return "refused"

    async def upload_given_up(self) -> str:
        return await self._give_up(self._client.analyze_file(CALL))

    async def post_given_up(self) -> str:
        return await self._give_up(self._http.post("/detect_audio", content=CALL))

    async def truncated_body(self) -> str:
        head = b"POST /detect_audio HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(CALL)
        return await self._cut_off(self._service.http_port, head + CALL[: self._random.randrange(len(CALL))])

    async def truncated_chunks(self) -> str:
        head = b"POST /predict_liveness HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%s\r\n" % (len(FACE), FACE)
        return await self._cut_off(self._service.http_port, head + body[: self._random.randrange(len(body))])

    async def truncated_head(self) -> str:
        return await self._cut_off(self._service.http_port, b"POST /analyze_audio HTTP/1.1\r\nHost: localhost\r\nConte")

    async def noise_at_http(self) -> str:
        return await self._cut_off(self._service.http_port, self._random.randbytes(2_000))

    async def noise_at_grpc(self) -> str:
        return await self._cut_off(self._random.choice(self._service.grpc_ports), self._random.randbytes(2_000))

    async def truncated_http2(self) -> str:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
        return await self._cut_off(self._service.grpc_ports[0], preface + self._random.randbytes(30))

    async def _give_up(self, call: Awaitable[object]) -> str:
        """Disconnects during a call, or gets its response if that is faster."""
        try:
            async with asyncio.timeout(self._random.uniform(0, 0.05)):
                await call
        except TimeoutError:
            return "given up"
        return "ok"

    async def _cut_off(self, port: int, data: bytes) -> str:
        """Sends this and disconnects: with a close, or with a reset, at once or a moment later."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            if self._random.random() < 0.5:
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(500), 0.02)
        if self._random.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return "cut off"


async def storm(caller: Caller, requests: int) -> "Counter[str]":
    """So many requests of all kinds, in turn, `CONCURRENCY` at a time."""
    kinds = iter([caller.kinds[index % len(caller.kinds)] for index in range(requests)])
    ends: Counter[str] = Counter()

    async def send() -> None:
        for kind in kinds:
            ends[await kind()] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(send())
    return ends


def footprint(process: psutil.Process) -> tuple[int, int, int]:
    """Bytes of memory, descriptors and threads."""
    return process.memory_info().rss, process.num_fds(), process.num_threads()


async def test_a_storm(
    service: LocalService, client: AsyncBonafideClient, http: httpx.AsyncClient, face_jpg: Path
) -> None:
    before = [await client.analyze_file(recording) for recording in SHORT[:3]]
    face = await client.predict_liveness(FACE)
    process = process_of(service, "Bonafide")
    caller = Caller(service, client, http)
    told = service.log.stat().st_size
    watch = Stopwatch()
    await storm(caller, WARM_UP)
    await wait_active(service, 0)
    memory, descriptors, threads = footprint(process)
    ends = await storm(caller, REQUESTS)
    assert watch.seconds < STORM_S, f"{watch.seconds:.0f} s"
    await wait_active(service, 0)

    assert ends.total() == REQUESTS
    assert ends["ok"] >= 4 * (REQUESTS // len(caller.kinds))
    assert ends["refused"] >= 2 * (REQUESTS // len(caller.kinds))
    assert ends["cut off"] >= 6 * (REQUESTS // len(caller.kinds))
    assert ends["given up"] > 0
    log = service.log.read_bytes()[told:].decode(errors="replace")
    assert_told(log, '"code": "cancelled"')
    assert lines_with(log, '"code": "internal"') == []
    assert tracebacks(log) == []

    memory_after, descriptors_after, threads_after = footprint(process)
    assert memory_after - memory < GROWTH, f"{(memory_after - memory) / MIB:.0f} MiB more"
    assert descriptors_after - descriptors < SPARE_DESCRIPTORS
    assert threads_after - threads < 8

    for recording, earlier in zip(SHORT[:3], before, strict=True):
        again = await client.analyze_file(recording + bytes(2))  # the same sound, and not from the cache
        assert again.score == pytest.approx(earlier.score, abs=0.01)
    assert (await client.predict_liveness(FACE)).score == pytest.approx(face.score, abs=0.02)
    assert (await client.predict_liveness(face_jpg)).label in ("fake", "live")
    assert await client.health() == "SERVING"
