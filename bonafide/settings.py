"""Every setting of the service, read once at start from the environment, `.env` and optional YAML files.

docs/deploy.md has them as a table, made by `scripts/settings_table.py` from this file.
"""

import base64
import ipaddress
import os
import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from bonafide.addresses import (
    REDIS_PORT,
    RedisServer,
    join_address,
    parse_address,
    parse_endpoint,
    parse_host,
    parse_redis,
)
from bonafide.decision import Band
from bonafide.lists import parse_list
from models.cpus import usable_cpus

MIB = 1024 * 1024
PredictionsForm = Literal["map", "repeated"]
SHIPPED = Path(__file__).resolve().parent.parent / "bonafide.yaml"
"""Settings shipped with the code: a Bento built with other models sets them here."""
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^\s/?#*]*/?", re.IGNORECASE)


def normal_origin(origin: str) -> str:
    """An origin as a browser or a setting writes it, in the form in which both are compared."""
    return origin.lower().rstrip("/")


def _cache_home() -> Path:
    """The user's cache folder: `$XDG_CACHE_HOME`, or `~/.cache`.

    Raises:
        FileNotFoundError: the user has no home.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bonafide"
    except RuntimeError:
        raise FileNotFoundError("this user has no home, so HOME or BONAFIDE_MODELS_DIR must be set") from None


def _is_service_link(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("tcp://", "udp://", "sctp://"))


class _LinkedPort(int):
    """A port that Kubernetes set on its own; it gives way to one that an operator set."""


class Settings(BaseSettings):
    """All settings; names in the environment are `BONAFIDE_<NAME>` unless an alias is given.

    Order of precedence: environment, `.env`, the YAML file named by `BONAFIDE_CONFIG`, `SHIPPED`, defaults.
    """

    model_config = SettingsConfigDict(
        env_prefix="BONAFIDE_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # among them are secrets
    )

    # Models
    voice_model: str = "bundled"
    """Voice model reference: `bundled`, a folder, a `.pth` file, a hub id, or `bento:<tag>`."""
    face_model: str = "bundled"
    """Face model reference: `bundled`, a folder, a hub id, or `bento:<tag>`."""
    voice_spoof_label: str | None = None
    """Name or index of the class that means spoof, if the labels do not tell; `not NAME`: of the one that does not."""
    face_spoof_label: str | None = None
    """Name or index of the class that means fake, if the labels do not tell; `not NAME`: of the one that does not."""
    voice_threshold: float | None = Field(None, ge=0.0, le=1.0)
    """A voice score at or above it is labelled spoof; unset: as the model was calibrated, else 0.5."""
    face_threshold: float | None = Field(None, ge=0.0, le=1.0)
    """A photo with P(fake) at or above it is labelled fake; unset: as the model was calibrated, else 0.5."""
    voice_uncertain: Annotated[Band | None, NoDecode] = None
    """`0.2,0.8`: from the lower voice score to below the upper one `decision` is `uncertain`; unset: as calibrated."""
    face_uncertain: Annotated[Band | None, NoDecode] = None
    """The same of P(fake) of photos."""
    voice_shadow: str | None = None
    """Second voice model, a reference: it scores what was answered, for metrics and log alone (docs/replacing.md)."""
    face_shadow: str | None = None
    """Second face model, a reference, likewise."""
    voice_shadow_spoof_label: str | None = None
    """As `voice_spoof_label`, of the second model."""
    face_shadow_spoof_label: str | None = None
    """As `face_spoof_label`, of the second model."""
    voice_shadow_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of recordings and live sessions that the second voice model scores too, chosen at random."""
    face_shadow_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of photos that the second face model scores too, chosen at random."""
    shadow_max_bytes: int = Field(64 * MIB, ge=0)
    """Windows and photos held for the second models, of each task; what does not fit is not scored, and counted."""
    face_crop: bool = False
    """Whether the largest face is judged, instead of the whole picture; only where one is found."""
    face_crop_margin: float = Field(0.5, ge=0.0, le=4.0)
    """With `face_crop`: how much of the face's longer side is kept around it on each side."""
    face_several_share: float = Field(0.5, gt=0.0, le=1.0)
    """Reason `several_faces`: another face has at least this share of the largest one's size."""
    face_min_pixels: float = Field(48.0, ge=0.0)
    """Reason `small_face`: of the largest face's shorter side, fewer pixels than this reach the model; if the model has
    a face factor, are in the photo."""
    face_min_brightness: float = Field(40.0, ge=0.0, le=255.0)
    """Reason `dark`: the face's mean luminance, 0 to 255, is less."""
    face_min_sharpness: float = Field(0.035, ge=0.0)
    """Reason `blurred`: of the face, scaled to 64 x 64, the Laplacian varies less than this share of the luminance."""
    min_speech_ratio: float = Field(0.1, ge=0.0, le=1.0)
    """A window is judged when at least this share of it is speech; 0: every window is judged."""
    channel_names: Annotated[tuple[str, ...], NoDecode] = ()
    """What channels 0, 1, ... are called in answers: `agent,caller`; the others by their number."""
    models_dir: Path = Field(default_factory=lambda: _cache_home() / "models")
    """Where models from the hub are saved after the first download, and compiled models are cached."""
    offline: bool = False
    """Never access the model hub; only saved models are used."""
    engine: Literal["auto", "torch", "openvino"] = "auto"
    """Inference engine; auto takes torch on CUDA and OpenVINO on a CPU."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto takes bf16 where the device has it."""
    engine_threads: int = Field(0, ge=0)
    """CPU threads of each runner's engine; 0: chosen by the engine."""

    # Batching in the runners, which tell the service their sizes; set them where the runners run.
    voice_max_batch: int = Field(0, ge=0, le=512)
    """Most full windows in one batch of the voice runner, or four times as many of a second; 0: by the device."""
    face_max_batch: int = Field(0, ge=0, le=512)
    """Most photos in one batch of the face runner; 0: by the device."""
    batch_max_wait_ms: float = Field(5.0, gt=0.0)
    """Longest time that a single item waits for others to share its batch."""
    batch_max_latency_ms: int = Field(600_000, ge=100)
    """BentoML refuses what it estimates to take longer; so high that it never does, since admission is our own."""

    # Admission
    workers: int = Field(1, ge=1, le=64)
    """Processes of the service; each counts calls and sessions for itself, as replicas do. More than 1: with Redis."""
    max_voice_calls: int = Field(64, ge=1)
    """Recordings under analysis or waiting; one more is refused as overloaded."""
    max_face_calls: int = Field(128, ge=1)
    """Photos under judgement or waiting; one more is refused as overloaded."""
    call_timeout_s: float = Field(600.0, gt=0.0)
    """Longest time of an audio analysis whose caller gave no deadline."""
    face_timeout_s: float = Field(30.0, gt=0.0)
    """Longest time of a photo's judgement whose caller gave no deadline."""
    drain_s: float = Field(20.0, ge=0.0)
    """How long calls in flight may go on after SIGTERM."""
    drain_notice_s: float = Field(1.0, ge=0.0)
    """Part of it in which calls are still accepted while health and readiness fail, so that balancers notice."""

    # Live sessions: WebSocket, telephony, gRPC
    live_max_sessions: int = Field(256, ge=0)
    """Live sessions open at one time; one more is refused."""
    live_max_sessions_per_caller: int = Field(64, ge=1)
    """Of these, how many one API key may have open."""
    live_chunk_s: float = Field(1.0, ge=0.25, le=4.0)
    """Seconds of a live window where the client names none."""
    live_overlap_s: float = Field(0.0, ge=0.0)
    """Seconds that neighbouring live windows share where the client names none; at most `live_chunk_s` less 0.25."""
    live_max_message_bytes: int = Field(2 * MIB, ge=64 * 1024)
    """Largest WebSocket message; a larger one is answered `too_large`, over 64 MiB it closes the socket with 1009."""
    live_max_frames_per_s: int = Field(1000, ge=10)
    """WebSocket frames taken from one socket in a second, pings and fragments too; what comes faster waits."""
    live_max_waiting_bytes: int = Field(256 * MIB, ge=0)
    """WebSocket messages that wait to be judged, of all sockets; one may have a sixteenth, and always one message."""
    live_max_message_s: float = Field(60.0, ge=1.0)
    """Most audio in one message."""
    live_idle_s: float = Field(60.0, gt=0.0)
    """A session ends when nothing has been received for so long."""
    live_max_session_s: float = Field(4 * 3600.0, gt=0.0)
    """Longest session, in time and in audio, of all channels that are judged apart together."""
    live_timeout_s: float = Field(30.0, gt=0.0)
    """Longest time for the scores of a few windows; after it they have none."""
    live_send_timeout_s: float = Field(10.0, gt=0.0)
    """A session is cut off when its client reads nothing for so long."""
    call_verdict_ttl_s: int = Field(3600, ge=1)
    """How long the verdict on a phone call is readable by its id."""
    webhook_url: HttpUrl | None = None
    """Where verdicts on phone calls are posted; unset: nowhere."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs what is posted (HMAC-SHA256, header `x-bonafide-signature`); empty: unsigned."""
    twilio_auth_token: SecretStr | None = None
    """Token of the Twilio account; `/ws/twilio` then accepts only what is signed with it, and requires no API key."""
    twilio_url: str | None = None
    """The address of `/ws/twilio` as configured at Twilio, `wss://...`: it is what is signed."""
    asterisk_websocket: bool = False
    """Whether `/ws/asterisk` takes calls of Asterisk's WebSocket channel (docs/telephony.md)."""
    freeswitch: bool = False
    """Whether `/ws/freeswitch` takes calls of FreeSWITCH' mod_audio_stream."""
    telnyx: bool = False
    """Whether `/ws/telnyx` takes calls of Telnyx' media streaming."""
    vonage: bool = False
    """Whether `/ws/vonage` takes calls of Vonage's WebSocket endpoint."""
    genesys: bool = False
    """Whether `/ws/genesys` takes calls of Genesys AudioHook."""
    genesys_api_key: SecretStr | None = None
    """API key of the AudioHook integration; with `genesys_client_secret`, whose signatures name it."""
    genesys_client_secret: SecretStr | None = None
    """Client secret of the integration, base64; `/ws/genesys` then accepts only what it signs, and requires no key."""
    audiosocket_port: int | None = Field(None, ge=1, le=65535)
    """Port of Asterisk's AudioSocket, without key and TLS; unset: none."""
    audiosocket_host: str = "127.0.0.1"
    """Address that this port listens on."""
    audiosocket_networks: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks that may call it: `10.0.0.5,10.1.0.0/16`; empty: all that reach it."""
    live_ping_s: float = Field(20.0, gt=0.0)
    """Time between WebSocket pings, and for their answer; a dead connection is found after both."""

    # gRPC
    grpc_host: str = "127.0.0.1"
    """Address that gRPC listens on; `::`: all, of IPv6 and IPv4."""
    grpc_ports: Annotated[tuple[int, ...], NoDecode] = (50051, 50052)
    """Ports that gRPC listens on, all with all services; empty switches gRPC off."""
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

    # Who may call
    keys_file: Path | None = None
    """File of API keys' hashes, read again when it changes; `python -m bonafide.security.keys` makes keys."""
    keys: SecretStr = SecretStr("")
    """The lines of such a file themselves, instead of a file; with neither, no key is required."""
    key_calls_per_minute: int = Field(0, ge=0)
    """Calls a minute for each key that has no limit of its own; 0: no limit."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins, besides its own, whose pages may open sockets without a key and read HTTP: `https://app.example.com`."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
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
    runner_token: SecretStr = SecretStr("")
    """Token that runners require, 16 characters or more; unset: `bentoml serve` makes one if it starts all."""

    # TLS of gRPC and HTTP, read again when a file changes
    tls_cert: Path | None = None
    """PEM file of the certificate chain; unset: no TLS."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    tls_client_ca: Path | None = None
    """PEM file of authorities; only callers with a certificate of theirs are accepted (mutual TLS)."""

    # For operators alone
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Port of `/metrics`, `/livez` and `/readyz` without key and TLS; the public port then has no `/metrics`."""
    metrics_host: str = "127.0.0.1"
    """Address that this port listens on."""
    operator_token: SecretStr = SecretStr("")
    """Token with which models are replaced over this port, 16 characters or more; empty: they are not."""

    # Evidence: signed records of verdicts
    evidence_key: Path | None = None
    """PEM file of an Ed25519 key that signs a record of each verdict (docs/evidence.md); unset: there are none."""
    evidence_log: Path | None = None
    """Folder of the log of these records."""
    evidence_log_max_bytes: int = Field(64 * MIB, ge=64 * 1024)
    """Bytes of one file of the log; the chain goes on in the next."""
    evidence_fsync: bool = True
    """Whether a record is on the disk before its verdict is answered; else the system writes it when it likes."""
    evidence_required: bool = True
    """Whether a verdict whose record cannot be kept (a full disk) is refused as unavailable; else it is only signed."""

    # Drift and feedback
    drift_recent: int = Field(1000, ge=20, le=1_000_000)
    """Most recent scores whose distance to the calibrated ones is measured, by version, transport and codec."""
    drift_spoof_share: float | None = Field(None, ge=0.0, le=1.0)
    """Share of spoofs that is expected among them; unset: as in the data of the calibration."""
    feedback_db: SecretStr | None = None  # a URL may hold a password
    """File of SQLite, or `postgresql://` URL, where verdicts are kept for the truth to be told; unset: nowhere."""
    feedback_keep_days: float = Field(90.0, gt=0.0)
    """Days that a verdict is kept there, with the truth about it."""
    feedback_max_verdicts: int = Field(1_000_000, ge=1)
    """Verdicts that are kept there; the oldest go first."""

    # Jobs
    jobs: bool = False
    """Whether jobs are taken: many stored recordings in one request, judged behind the calls (docs/jobs.md)."""
    jobs_photos: bool = False
    """Whether jobs may be of photos too; the face model is then held twice, as the voice model is with jobs."""
    jobs_db: Path = Path("data/jobs.db")
    """File of SQLite where jobs are kept if no Redis is configured."""
    jobs_max_keys: int = Field(10_000, ge=1, le=1_000_000)
    """Recordings or photos of one job."""
    jobs_max_per_caller: int = Field(10, ge=1)
    """Jobs of one caller that have not ended; one more is refused as overloaded."""
    jobs_keep_hours: float = Field(24.0, gt=0.0)
    """How long a job and its results (biometric data) are kept after its last result."""
    jobs_concurrency: int = Field(2, ge=1, le=64)
    """Recordings and photos of jobs that each process of the service has under analysis."""
    jobs_lease_s: float = Field(30.0, ge=1.0)
    """After so long without a sign of life of the process that took a recording or photo, another one takes it over."""
    jobs_callbacks: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins that a job's callback may go to: `https://app.example.com`; empty: jobs have no callbacks."""

    # Limits on untrusted input
    max_audio_bytes: int = Field(128 * MIB, ge=1)
    """Largest recording, uploaded or stored."""
    max_audio_seconds: float = Field(4 * 3600.0, gt=0.0)
    """Longest recording."""
    max_audio_channels: int = Field(16, ge=1)
    """Most channels of a recording."""
    max_sample_rate: int = Field(192_000, ge=8_000)
    """Highest sample rate of a recording, in Hz."""
    max_image_bytes: int = Field(16 * MIB, ge=1)
    """Largest photo."""
    max_image_pixels: int = Field(50_000_000, ge=1)
    """Most pixels of a photo, checked before decoding."""
    max_inflight_bytes: int = Field(512 * MIB, ge=1)
    """Sum of all recordings and photos held at one time; more is refused as overloaded."""
    decode_threads: int = Field(default_factory=lambda: max(2, usable_cpus()), ge=1)
    """Processes that decode audio and images at a time; one more for callers of whom none works."""

    # Objects
    minio_endpoint: str | None = Field(None, validation_alias="MINIO_ENDPOINT")
    """`host:port` or `https://host:port` of MinIO or S3; unset: objects come from `objects_dir`."""
    minio_access_key: SecretStr = Field(SecretStr(""), validation_alias="MINIO_ACCESS_KEY")
    """Access key for MinIO."""
    minio_secret_key: SecretStr = Field(SecretStr(""), validation_alias="MINIO_SECRET_KEY")
    """Secret key for MinIO."""
    minio_secure: bool = Field(False, validation_alias=AliasChoices("MINIO_SECURE", "MINIO_USE_SSL"))
    """Whether MinIO is accessed over TLS."""
    storage_timeout_s: float = Field(10.0, gt=0.0)
    """Connect and read timeout of one storage request."""
    storage_retries: int = Field(3, ge=0)
    """Retries of a transient storage failure, with exponential backoff."""
    objects_dir: Path = Path("data/objects")
    """Folder laid out `<bucket>/<key>`, used without MinIO."""
    allowed_buckets: Annotated[tuple[str, ...], NoDecode] = ()
    """Buckets that may be read; empty: all."""

    # Cache
    redis_host: SecretStr | None = Field(None, validation_alias="REDIS_HOST")  # a URL may hold a password
    """Host, `host:port` or URL of Redis or Valkey; unset, as `REDIS_URL`: the cache is in memory."""
    redis_url: SecretStr | None = Field(None, validation_alias="REDIS_URL")
    """`redis://user:password@host:port/db`, `rediss://` for TLS, or `unix:///path?db=N`."""
    redis_port: int = Field(REDIS_PORT, ge=1, le=65535, validation_alias="REDIS_PORT")
    """Port of Redis or Valkey."""
    redis_password: SecretStr | None = Field(None, validation_alias="REDIS_PASSWORD")
    """Password of Redis or Valkey."""
    cache_key: SecretStr = SecretStr("")
    """Authenticates what is kept in Redis (HMAC-SHA256), 16 characters or more; unset: a checksum finds only damage."""
    redis_timeout_s: float = Field(0.5, gt=0.0)
    """Longest time of one cache round trip; a slower cache is skipped."""
    cache_ttl_s: int = Field(3600, ge=1)
    """How long windows and scores are kept."""
    cache_windows: bool = True
    """Whether decoded windows (biometric data) are cached; scores always are."""
    cache_max_bytes: int = Field(256 * MIB, ge=0)
    """Bound of the in-memory cache."""

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON lines elsewhere."""

    @field_validator(
        "grpc_ports",
        "allowed_buckets",
        "allowed_origins",
        "allowed_hosts",
        "channel_names",
        "audiosocket_networks",
        "jobs_callbacks",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return parse_list(value) if isinstance(value, str) else value

    @field_validator("voice_uncertain", "face_uncertain", mode="before")
    @classmethod
    def _ends(cls, value: object) -> object:
        # `[0.2, 0.8]` is a JSON list of numbers, and those are no texts.
        return (parse_list(value.strip().strip("[]")) or None) if isinstance(value, str) else value

    @field_validator("voice_uncertain", "face_uncertain", mode="after")
    @classmethod
    def _band(cls, value: Band | None) -> Band | None:
        if value is not None and not 0.0 <= value.lower <= value.upper <= 1.0:
            raise ValueError("must be two scores from 0 to 1, the lower first, like 0.2,0.8")
        return value

    @field_validator("grpc_ports", mode="before")
    @classmethod
    def _one_port(cls, value: object) -> object:
        return [value] if isinstance(value, int) else value  # YAML's `grpc_ports: 50051`

    @field_validator("grpc_ports", mode="after")
    @classmethod
    def _ports(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(0 <= port <= 65535 for port in value):
            raise ValueError("must be ports up to 65535, like 50051,50052")
        if len(set(value) - {0}) != len([port for port in value if port]):
            raise ValueError("must not have the same port twice")
        return value

    @field_validator("audiosocket_networks", mode="after")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ipaddress.ip_network(each, strict=False)) for each in value)
        except ValueError:
            raise ValueError("must be addresses or networks like 10.0.0.5,10.1.0.0/16") from None

    @field_validator("genesys_client_secret", mode="after")
    @classmethod
    def _base64(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            is_long = value is None or len(base64.b64decode(value.get_secret_value(), validate=True)) >= 16
        except ValueError:
            is_long = False
        if not is_long:
            raise ValueError("must be base64 of 16 bytes or more")
        return value

    @field_validator("grpc_host", "metrics_host", "audiosocket_host", mode="after")
    @classmethod
    def _listening(cls, value: str) -> str:
        return parse_host(value)

    @field_validator("twilio_url", mode="after")
    @classmethod
    def _with_a_host(cls, value: str | None) -> str | None:
        try:
            has_host = value is None or bool(urlsplit(value).hostname)
        except ValueError:
            has_host = False
        if not has_host:
            raise ValueError("must be a URL like wss://voice.example.com/ws/twilio")
        return value

    @field_validator("minio_endpoint", mode="after")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        secure, address = parse_endpoint(value)
        return address if secure is None else f"{'https' if secure else 'http'}://{address}"

    @field_validator("redis_host", "redis_url", mode="after")
    @classmethod
    def _redis_address(cls, value: SecretStr | None, field: ValidationInfo) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            _ = parse_redis(text) if field.field_name == "redis_url" or "://" in text else parse_address(text)
        return value

    @field_validator("allowed_origins", mode="after")
    @classmethod
    def _as_browsers_send_it(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [origin for origin in value if not _ORIGIN.fullmatch(origin)]:
            raise ValueError(f"must be origins like https://app.example.com, or null, not {wrong[0]}")
        return tuple(normal_origin(origin) for origin in value)

    @field_validator("jobs_callbacks", mode="after")
    @classmethod
    def _origins_of_http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(each) and each.lower().startswith(("http://", "https://")) for each in value):
            raise ValueError("must be origins like https://app.example.com")
        return tuple(normal_origin(origin) for origin in value)

    @field_validator("allowed_hosts", mode="after")
    @classmethod
    def _names_alone(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if "/" in host or (host != "*" and "*" in host):
                raise ValueError(f"must be names like voice.example.com, not {host}")
        return tuple(host if host == "*" else join_address(parse_address(host).host, None) for host in value)

    @field_validator("runner_token", "operator_token", mode="after")
    @classmethod
    def _a_token_for_a_header(cls, value: SecretStr) -> SecretStr:
        if (token := value.get_secret_value()) and not re.fullmatch(r"[!-~]{16,256}", token):
            raise ValueError("must be 16 to 256 printable ASCII characters without spaces")
        return value

    @field_validator("cache_key", mode="after")
    @classmethod
    def _a_long_key(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("must be 16 characters or more")
        return value

    @field_validator("metrics_port", "grpc_ports", "audiosocket_port", mode="before")
    @classmethod
    def _service_link(cls, value: object, field: ValidationInfo) -> object:
        """Kubernetes sets the address of a service `bonafide-metrics` as `BONAFIDE_METRICS_PORT=tcp://10.0.0.2:9090`."""
        return cls.model_fields[str(field.field_name)].default if _is_service_link(value) else value

    @field_validator("redis_port", mode="wrap")
    @classmethod
    def _linked_port(cls, value: object, validate: ValidatorFunctionWrapHandler) -> int:
        """Likewise the address of a service `redis`: `REDIS_PORT=tcp://10.0.0.1:6379`."""
        if _is_service_link(value):
            return _LinkedPort(validate(str(value).rpartition(":")[2]))
        return int(validate(value))

    @field_validator("voice_max_batch", "face_max_batch", mode="after")
    @classmethod
    def _batch_of_two(cls, value: int) -> int:
        if value == 1:
            raise ValueError("must be 0 (chosen per engine) or at least 2")
        return value

    @model_validator(mode="after")
    def _minio_needs_keys(self) -> "Settings":
        if self.minio_endpoint and not (
            self.minio_access_key.get_secret_value() and self.minio_secret_key.get_secret_value()
        ):
            raise ValueError("MINIO_ENDPOINT is set, so MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set too")
        return self

    @model_validator(mode="after")
    def _minio_one_scheme(self) -> "Settings":
        endpoint = self.minio_endpoint or ""
        if self.minio_secure and endpoint.startswith("http://"):
            raise ValueError("MINIO_SECURE is true, but MINIO_ENDPOINT begins with http://; it must be https://")
        if "minio_secure" in self.model_fields_set and not self.minio_secure and endpoint.startswith("https://"):
            raise ValueError("MINIO_SECURE is false, but MINIO_ENDPOINT begins with https://; leave one of them out")
        return self

    @model_validator(mode="after")
    def _workers_share_redis(self) -> "Settings":
        if self.workers > 1 and self._named_redis is None:
            raise ValueError("BONAFIDE_WORKERS is more than 1, so REDIS_HOST or REDIS_URL must be set: they share it")
        return self

    @model_validator(mode="after")
    def _photos_of_jobs(self) -> "Settings":
        if self.jobs_photos and not self.jobs:
            raise ValueError("BONAFIDE_JOBS_PHOTOS is true, so BONAFIDE_JOBS must be true too")
        return self

    @model_validator(mode="after")
    def _one_redis(self) -> "Settings":
        if self.redis_url is not None and self.redis_host is not None:
            raise ValueError("REDIS_URL and REDIS_HOST are both set; one must be enough")
        if (server := self._named_redis) is None:
            return self
        name = "REDIS_HOST" if self.redis_url is None else "REDIS_URL"
        if server.password and self.redis_password and server.password != self.redis_password:
            raise ValueError(f"{name} has another password than REDIS_PASSWORD; one must be enough")
        if server.port and self._redis_port_is_set and server.port != self.redis_port:
            raise ValueError(f"{name} has another port than REDIS_PORT; one must be enough")
        return self

    @model_validator(mode="after")
    def _live_windows_advance(self) -> "Settings":
        if self.live_overlap_s > self.live_chunk_s - 0.25:
            raise ValueError("BONAFIDE_LIVE_OVERLAP_S must be at most BONAFIDE_LIVE_CHUNK_S less 0.25")
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "Settings":
        if self.keys_file is not None and self.keys.get_secret_value():
            raise ValueError("BONAFIDE_KEYS_FILE and BONAFIDE_KEYS are both set; one must be enough")
        return self

    @model_validator(mode="after")
    def _operators_have_a_port(self) -> "Settings":
        if self.operator_token.get_secret_value() and self.metrics_port is None:
            raise ValueError("BONAFIDE_OPERATOR_TOKEN is set, so BONAFIDE_METRICS_PORT must be set too")
        return self

    @model_validator(mode="after")
    def _evidence_is_whole(self) -> "Settings":
        if (self.evidence_key is None) != (self.evidence_log is None):
            raise ValueError("BONAFIDE_EVIDENCE_KEY and BONAFIDE_EVIDENCE_LOG go together")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("BONAFIDE_TLS_CERT and BONAFIDE_TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("BONAFIDE_TLS_CLIENT_CA needs BONAFIDE_TLS_CERT and BONAFIDE_TLS_KEY")
        return self

    @property
    def requires_authentication(self) -> bool:
        """Whether callers must have a key or a certificate."""
        return self.keys_file is not None or bool(self.keys.get_secret_value()) or self.tls_client_ca is not None

    @model_validator(mode="after")
    def _signatures_need_the_address(self) -> "Settings":
        if self.twilio_auth_token is not None and not self.twilio_url:
            raise ValueError("BONAFIDE_TWILIO_AUTH_TOKEN is set, so BONAFIDE_TWILIO_URL must be set too")
        return self

    @model_validator(mode="after")
    def _genesys_is_whole(self) -> "Settings":
        if (self.genesys_api_key is None) != (self.genesys_client_secret is None):
            raise ValueError("BONAFIDE_GENESYS_API_KEY and BONAFIDE_GENESYS_CLIENT_SECRET go together")
        if self.genesys_client_secret is not None and not self.genesys:
            raise ValueError("BONAFIDE_GENESYS_CLIENT_SECRET is set, so BONAFIDE_GENESYS must be true")
        return self

    @cached_property
    def redis(self) -> RedisServer | None:
        """Redis or Valkey, with its port; None: the cache is in memory."""
        if (named := self._named_redis) is None:
            return None
        linked = self.redis_url is not None and not self._redis_port_is_set  # the URL means its scheme's own port
        port = named.port or (REDIS_PORT if linked else int(self.redis_port))
        return replace(named, port=port, password=named.password or self.redis_password)

    @property
    def _named_redis(self) -> RedisServer | None:
        """What `REDIS_URL` or `REDIS_HOST` say alone."""
        text = (self.redis_url or self.redis_host or SecretStr("")).get_secret_value()
        if not text:
            return None
        if self.redis_url is not None or "://" in text:
            return parse_redis(text)
        address = parse_address(text)
        return RedisServer(address.host, address.port)

    @property
    def _redis_port_is_set(self) -> bool:
        """Whether an operator set `REDIS_PORT`, not Kubernetes."""
        return "redis_port" in self.model_fields_set and not isinstance(self.redis_port, _LinkedPort)

    @cached_property
    def compiled_dir(self) -> Path:
        """Folder of compiled models."""
        return self.models_dir / "compiled"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the YAML files; see pydantic-settings."""
        sources = [init_settings, env_settings, dotenv_settings]
        if path := os.environ.get("BONAFIDE_CONFIG"):
            if not Path(path).is_file():
                raise FileNotFoundError(f"BONAFIDE_CONFIG names {path}, which is not a file")
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=path))
        sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=SHIPPED))
        return tuple(sources)
