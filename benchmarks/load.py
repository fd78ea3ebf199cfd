"""A light client in one process: a number of callers, each sending its next call after the previous response.

The calls here are over gRPC; those over HTTP are in `http_load.py`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import grpc

from benchmarks import inputs, sample_bodies
from models.info import Task
from proto import audio_analyzer_pb2 as audio
from proto import liveness_api_pb2 as liveness
from proto.audio_analyzer_pb2_grpc import AudioAnalysisStub
from proto.liveness_api_pb2_grpc import LivenessServiceStub

_PART_BYTES = 1024 * 1024
_TIMEOUT_S = 600.0

CallOnce = Callable[[int], Awaitable[None]]
"""Makes the call with this number."""


class Phase(NamedTuple):
    """Some calls in a closed loop.

    Attributes:
        wall_s: from the first call's start to the last call's end.
        cpu_s: CPU time of this process.
        latencies_s: of each call.
    """

    wall_s: float
    cpu_s: float
    latencies_s: list[float]


async def closed_loop(call: CallOnce, numbers: Iterator[int], count: int, concurrency: int) -> Phase:
    """Makes `count` calls, at most `concurrency` at a time."""
    return await _loop(call, numbers, iter(range(count)), concurrency)


async def closed_loop_for(call: CallOnce, numbers: Iterator[int], seconds: float, concurrency: int) -> Phase:
    """Begins calls for `seconds` s, `concurrency` at a time, and waits for the last of them."""
    end = time.perf_counter() + seconds
    return await _loop(call, numbers, iter(lambda: time.perf_counter() >= end, True), concurrency)


async def _loop(call: CallOnce, numbers: Iterator[int], left: Iterator[object], concurrency: int) -> Phase:
    latencies: list[float] = []

    async def caller() -> None:
        for _ in left:
            began = time.perf_counter()
            await call(next(numbers))
            latencies.append(time.perf_counter() - began)

    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as callers:
        for _ in range(concurrency):
            callers.create_task(caller())
    return Phase(time.perf_counter() - wall, time.process_time() - cpu, latencies)


def caller_of(task: Task, channel: grpc.aio.Channel, seconds: int) -> CallOnce:
    """Uploads a recording of `seconds` s, or a photo, and requires a complete response."""
    if task == "voice":
        return _recordings(channel, seconds)
    return _photos(channel)


def _recordings(channel: grpc.aio.Channel, seconds: int) -> CallOnce:
    stub = AudioAnalysisStub(channel)
    expected = -(-seconds // inputs.WINDOW_SECONDS)

    async def call(number: int) -> None:
        data = inputs.recording(number, seconds)
        parts = [
            audio.AnalyzeUploadRequest(data=data[first : first + _PART_BYTES])
            for first in range(0, len(data), _PART_BYTES)
        ]
        chunks = 0
        async for event in stub.AnalyzeUpload(iter(parts), timeout=_TIMEOUT_S):
            if event.HasField("summary"):
                chunks = len(event.summary.chunks)
        if chunks != expected:
            raise RuntimeError(f"{chunks} of {expected} chunks were scored")

    return call


def _photos(channel: grpc.aio.Channel) -> CallOnce:
    stub = LivenessServiceStub(channel)

    async def call(number: int) -> None:
        request = liveness.LivenessRequest(image_data=sample_bodies.body("face", number), image_format="jpg")
        response = await stub.PredictLiveness(request, timeout=_TIMEOUT_S)
        if not response.success:
            raise RuntimeError(f"a photo was not judged: {response.error_message}")

    return call
