"""gRPC: checks the key before a message is received, and encrypts with the newest certificate."""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health

from bonafide.api.grpc_calls import Context, refuse
from bonafide.api.security import presented_keys
from bonafide.errors import BonafideError
from bonafide.security.access import Access
from bonafide.security.caller import set_caller
from bonafide.security.tls import ServerTls, TlsMaterial

OPEN = f"/{health.SERVICE_NAME}/"
"""Health checks need no key."""
_LIBRARY = "grpc._cython.cygrpc"
_TELLS_METADATA = "Invalid encoding on"


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a known key, except health checks."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See gRPC. Runs in the context of the call, before its first message is taken from the connection."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(OPEN):  # without a handler gRPC answers UNIMPLEMENTED
            return handler
        metadata = [
            (key, value) for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        ]
        try:
            set_caller(self._access.admit(presented_keys(metadata)))
        except BonafideError as error:
            return _refusal(method.rpartition("/")[2], error)
        return handler


def _refusal(method: str, error: BonafideError) -> grpc.RpcMethodHandler[Any, Any]:
    """Ends a call of any kind; a handler of streams, because others would first receive the whole request."""

    async def answer(_requests: object, context: Context) -> None:
        await refuse(context, method, error)

    return grpc.stream_stream_rpc_method_handler(answer)


def keep_metadata_from_log() -> None:
    """Drops what gRPC logs of metadata that is not UTF-8: all of it, keys too, before any code of ours runs."""
    logging.getLogger(_LIBRARY).addFilter(_tells_no_metadata)


def _tells_no_metadata(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_TELLS_METADATA)


def server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Credentials for one port; each connection uses the newest files."""
    used = tls.current

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        if (newest := tls.current) is used:
            return None
        used = newest
        return _configuration(newest)

    asks_callers = used.client_ca is not None
    return grpc.dynamic_ssl_server_credentials(_configuration(used), newer, asks_callers)  # type: ignore[arg-type]


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.cert)], material.client_ca)
