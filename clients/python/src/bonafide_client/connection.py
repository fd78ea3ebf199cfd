"""How the service is reached: address, TLS, key, retries, keepalive; the same for both clients."""

import ipaddress
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc import aio

from .version import __version__

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_LIVE_URL = "ws://127.0.0.1:3000/ws/detect"
AUDIO_TIMEOUT_S = 600.0
FACE_TIMEOUT_S = 30.0
STATUS_TIMEOUT_S = 10.0

# Safe to ask twice. An upload is not here: its parts are read once and not kept.
_RETRIED = {
    "audioanalyzer.AudioAnalysis": ("AnalyzeAudio", "AnalyzeAudioStream", "GetVoiceModelStatus"),
    "liveness.LivenessService": ("PredictLiveness", "GetModelStatus"),
    "jobs.Jobs": ("Get", "Cancel", "Results"),
    "grpc.health.v1.Health": ("Check",),
}
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],  # of a headless service one pod would have all calls
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method} for service, methods in _RETRIED.items() for method in methods
            ],
            "retryPolicy": {  # about 3 s in all; gRPC allows no more than 5 attempts
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


@dataclass(frozen=True)
class Tls:
    """TLS to the service. Files are PEM; without `ca` the roots that gRPC ships with are trusted.

    Args:
        ca: file of the root certificates to trust.
        cert: file of the client's certificate chain, for mutual TLS; goes with `key`.
        key: file of the client's private key.
    """

    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("a client certificate and its key go together")

    def contents(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """What `ca`, `cert` and `key` hold.

        Raises:
            OSError: one cannot be read.
            ValueError: one holds something else; gRPC would only say, call by call, that it cannot connect.
        """
        ca, cert, key = (None if path is None else Path(path).read_bytes() for path in (self.ca, self.cert, self.key))
        for path, pem in ((self.ca, ca), (self.cert, cert)):
            if pem is not None and b"CERTIFICATE-----" not in pem:
                raise ValueError(f"{path} holds no certificate (PEM)")
        if key is not None and b"PRIVATE KEY-----" not in key:
            raise ValueError(f"{self.key} holds no private key (PEM)")
        return ca, cert, key

    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC. Raises what `contents` does, and ValueError for a key with a passphrase."""
        ca, cert, key = self.contents()
        if key is not None and b"ENCRYPTED" in key:
            raise ValueError(f"{self.key} has a passphrase, which gRPC cannot ask for: `openssl pkey` takes it off")
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)


@dataclass(frozen=True)
class Connection:
    """Everything that a channel needs; `metadata` goes with each call."""

    address: str
    credentials: grpc.ChannelCredentials | None = field(repr=False)
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    keepalive_s: float

    @classmethod
    def resolve(
        cls, address: str | None, api_key: str | None, tls: Tls | None, keepalive_s: float, *, key_in_clear: bool
    ) -> "Connection":
        """Fills in what the environment says. Raises ValueError for what can never work."""
        address = address or os.environ.get("BONAFIDE_ADDRESS") or DEFAULT_ADDRESS
        if address.startswith(("http://", "https://")):
            raise ValueError(f"{address!r} is not a gRPC address; give host:port, such as {DEFAULT_ADDRESS}")
        encrypted = tls is not None or _is_local(address)
        api_key = key_to_send(api_key, address, safe=encrypted or key_in_clear)
        metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()
        return cls(address, None if tls is None else tls.credentials(), metadata, keepalive_s)

    def channel(self) -> grpc.Channel:
        """A channel for the blocking client; it connects with the first call."""
        if self.credentials is None:
            return grpc.insecure_channel(self.address, options=self._options())
        return grpc.secure_channel(self.address, self.credentials, options=self._options())

    def aio_channel(self) -> aio.Channel:
        """A channel for the asyncio client; it connects with the first call."""
        if self.credentials is None:
            return aio.insecure_channel(self.address, options=self._options())
        return aio.secure_channel(self.address, self.credentials, options=self._options())

    def _options(self) -> list[tuple[str, str | int]]:
        return [
            ("grpc.primary_user_agent", f"bonafide-client/{__version__}"),
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            # The service sets the limits on size. A call is retried only while its request is
            # buffered, so the buffer holds the largest photo that the service takes by default.
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.per_rpc_retry_buffer_size", 17 * 1024 * 1024),
            # A restarted service is found again within the time that the retries last.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 1_000),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            # Proxies drop silent connections, and an hour of audio is silent for minutes.
            ("grpc.keepalive_time_ms", int(self.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.max_pings_without_data", 0),
            # An http_proxy in the environment is not meant for this machine itself.
            ("grpc.enable_http_proxy", 0 if _is_local(self.address) else 1),
        ]


def key_to_send(api_key: str | None, to: str, *, safe: bool) -> str:
    """The key, that of the environment where none is given; empty: none is sent.

    Raises:
        ValueError: it cannot travel in a header, or nothing encrypts the way to another machine.
    """
    api_key = os.environ.get("BONAFIDE_API_KEY", "") if api_key is None else api_key
    if not all("!" <= char <= "~" for char in api_key):
        raise ValueError("the API key holds a character that cannot travel in a header")
    if api_key and not safe:
        raise ValueError(
            f"the API key would travel to {to} unencrypted; use TLS, or say that something else encrypts the way: "
            "key_in_clear=True (--key-in-clear)"
        )
    return api_key


def is_local_host(host: str) -> bool:
    """Whether a name or an address is this machine itself."""
    try:
        return host.casefold() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    if "," in address:  # several machines
        return False
    target = address.removeprefix("dns:///")  # with a name server there, whatever that says
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        target = target.removeprefix(scheme)
    if target.startswith("["):
        return is_local_host(target[1:].partition("]")[0])
    return is_local_host(target.rpartition(":")[0] if target.count(":") == 1 else target)
