"""gRPC: how `AnalyzeAudio` writes field 1 of its response, which clients of different ages read differently.

The oldest declare a map, the newest of the older service repeated messages `{chunk_id=1, score=2, start=3, end=4}`. The
bytes of a map parse as such messages, without times and in the order in which they were written; so they are written
in order. A map's entries with further fields are no way to serve both: Python's parser drops them all.
"""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import struct
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from bonafide.settings.grpc import PredictionsForm
from proto import audio_analyzer_pb2 as audio

_METHOD = f"/{audio.DESCRIPTOR.services_by_name['AudioAnalysis'].full_name}/AnalyzeAudio"


class PredictionsInterceptor(grpc.aio.ServerInterceptor):
    """Serialises the responses of `AnalyzeAudio`; other methods are younger, and their clients know the map."""

    def __init__(self, form: PredictionsForm) -> None:
        self._form = form

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See gRPC."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or handler_call_details.method != _METHOD:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            handler.unary_unary,
            request_deserializer=handler.request_deserializer,
            response_serializer=lambda response: serialized(response, self._form),
        )


def serialized(response: audio.AnalyzeAudioResponse, form: PredictionsForm) -> bytes:
    """The bytes of a response, its field 1 in order of the chunks and in this form."""
    others = audio.AnalyzeAudioResponse()
    others.CopyFrom(response)
    others.ClearField("predictions")
    times = form == "repeated"
    entries = (
        _entry(chunk.chunk_id, chunk.score, *((chunk.start_time_seconds, chunk.end_time_seconds) if times else ()))
        for chunk in response.chunks
        if chunk.HasField("score")
    )
    return b"".join(entries) + others.SerializeToString()


def _entry(chunk_id: str, *values: float) -> bytes:
    """One message of field 1: a string as its field 1, and float32 numbers as its fields 2, 3, ... Under 128 bytes."""
    name = chunk_id.encode()
    body = bytes((1 << 3 | 2, len(name))) + name
    for number, value in enumerate(values, 2):
        body += struct.pack("<Bf", number << 3 | 5, value)
    return bytes((1 << 3 | 2, len(body))) + body
