"""The ports of gRPC."""

from typing import Literal

from pydantic import Field

from bonafide.settings.group import SettingsGroup
from bonafide.settings.types import ListeningHost, Ports

PredictionsForm = Literal["map", "repeated"]


class GrpcSettings(SettingsGroup):
    """Addresses, connections and messages of gRPC."""

    grpc_host: ListeningHost = "127.0.0.1"
    """Address that gRPC listens on; `::`: all, of IPv6 and IPv4."""
    grpc_ports: Ports = (50051, 50052)
    """Ports that gRPC listens on, all with all services; `[]` switches gRPC off."""
    grpc_max_connection_age_s: float = Field(0.0, ge=0.0)
    """Age at which clients must reconnect, so that they reach new replicas; calls continue. 0: no limit."""
    predictions: PredictionsForm = "map"
    """Field 1 of `AnalyzeAudio` responses; `repeated`: messages with times, for the older service's newest clients."""
    grpc_max_connections: int = Field(1000, ge=1)
    """gRPC connections to each port at one time; more are closed at once."""
    grpc_max_streams_per_connection: int = Field(512, ge=1)
    """Open calls of one gRPC connection; what comes beyond them waits in its client."""
    grpc_idle_s: float = Field(30.0, gt=0.0)
    """A gRPC call ends when a message of it has not arrived within so many seconds; live sessions: `live_idle_s`."""
