"""Who may call, over which connections."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from bonafide.settings.group import SettingsGroup
from bonafide.settings.types import HostNames, LinkedPort, ListeningHost, Origins, Token


class AccessSettings(SettingsGroup):
    """Keys, origins, connections, certificates and the port of operators."""

    # Who may call
    keys_file: Path | None = None
    """File of API keys' hashes, read again when it changes; `python -m bonafide.security.keys` makes keys."""
    keys: SecretStr = SecretStr("")
    """The lines of such a file themselves, instead of a file; with neither, no key is required."""
    key_calls_per_minute: int = Field(0, ge=0)
    """Calls a minute for each key that has no limit of its own; 0: no limit."""
    allowed_origins: Origins = ()
    """Origins, besides its own, whose pages may open sockets without a key and read HTTP: `https://app.example.com`."""
    allowed_hosts: HostNames = ()
    """Names by which HTTP may be called besides loopback's; `*`: any. Unset: checked on loopback without keys only."""
    allow_public: bool = False
    """Listen on other addresses than loopback although no key or certificate is required."""

    # Connections of the HTTP port; WebSockets are among them
    http_max_connections: int = Field(2048, ge=0)
    """Open connections; one more is answered 429 and closed. 0: no limit."""
    http_max_connections_per_address: int = Field(1024, ge=0)
    """Of these, how many one address may have, or one IPv6 network (/64): a proxy is one address. 0: no limit."""
    http_header_timeout_s: float = Field(10.0, gt=0.0)
    """Longest time of a TLS handshake, and then of a request's line and headers."""
    http_max_header_bytes: int = Field(32 * 1024, ge=1024)
    """Most bytes of a request's line and headers."""
    http_min_body_rate: int = Field(1024, ge=0)
    """Fewest bytes a second of an upload, on average over half a minute; 0: no limit."""

    # Between the service and its runners
    runner_token: Token = SecretStr("")
    """Token that runners require, 16 characters or more; unset: `bentoml serve` makes one if it starts all."""

    # TLS of gRPC and HTTP, read again when a file changes
    tls_cert: Path | None = None
    """PEM file of the certificate chain; unset: no TLS."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    tls_client_ca: Path | None = None
    """PEM file of authorities; only callers with a certificate of theirs are accepted (mutual TLS)."""

    # For operators alone
    metrics_port: LinkedPort = Field(None, ge=1, le=65535)
    """Port of `/metrics`, `/livez` and `/readyz` without key and TLS; the public port then has no `/metrics`."""
    metrics_host: ListeningHost = "127.0.0.1"
    """Address that this port listens on."""
    operator_token: Token = SecretStr("")
    """Token with which models are replaced over this port, 16 characters or more; empty: they are not."""

    @property
    def requires_authentication(self) -> bool:
        """Whether callers must have a key or a certificate."""
        return self.keys_file is not None or bool(self.keys.get_secret_value()) or self.tls_client_ca is not None

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.keys_file is not None and self.keys.get_secret_value():
            raise ValueError("BONAFIDE_KEYS_FILE and BONAFIDE_KEYS are both set; one must be enough")
        return self

    @model_validator(mode="after")
    def _operators_have_a_port(self) -> Self:
        if self.operator_token.get_secret_value() and self.metrics_port is None:
            raise ValueError("BONAFIDE_OPERATOR_TOKEN is set, so BONAFIDE_METRICS_PORT must be set too")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("BONAFIDE_TLS_CERT and BONAFIDE_TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("BONAFIDE_TLS_CLIENT_CA needs BONAFIDE_TLS_CERT and BONAFIDE_TLS_KEY")
        return self
