"""Errors in the environment: the message names the variable, and never its value."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bonafide.addresses import RedisServer
from bonafide.environment import WrongSettings, read_settings
from bonafide.settings import Settings

MINIO = {"MINIO_ACCESS_KEY": "secret", "MINIO_SECRET_KEY": "secret"}


@pytest.mark.parametrize("name", ["REDIS_PORT", "REDIS_HOST", "MINIO_SECURE", "MINIO_ENDPOINT", "BONAFIDE_METRICS_PORT",
                                  "BONAFIDE_GRPC_PORTS", "BONAFIDE_KEYS_FILE", "BONAFIDE_VOICE_THRESHOLD"])  # fmt: skip
def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert read_settings() == Settings()


def test_kubernetes_service_links_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "REDIS_PORT": "tcp://10.0.0.1:6380",
        "BONAFIDE_METRICS_PORT": "tcp://10.0.0.2:9090",
        "BONAFIDE_PORT": "tcp://10.0.0.2:3000",
        "BONAFIDE_PORT_3000_TCP_ADDR": "10.0.0.2",
        "BONAFIDE_SERVICE_HOST": "10.0.0.2",
        "BONAFIDE_SERVICE_PORT_GRPC": "50051",
    }
    for name, value in links.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.redis_port, settings.metrics_port) == (6380, None)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("BONAFIDE_ALLOWED_BUCKET", "BONAFIDE_ALLOWED_BUCKETS"), ("BONAFIDE_VOICE_MODLE", "BONAFIDE_VOICE_MODEL")],
)
def test_a_name_that_nothing_reads_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(WrongSettings, match=f"{name} is no setting; did you mean {nearest}"):
        read_settings()


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            ".env",
            b"BONAFIDE_ALLOWED_BUCKET=secret",
            ".env: BONAFIDE_ALLOWED_BUCKET is no setting; did you mean BONAFIDE_A",
        ),
        (
            ".env",
            b"MINIO_USE_SSL=true\nMINIO_SECURE=false\n",
            ".env: MINIO_SECURE and MINIO_USE_SSL are both set, and d",
        ),
        (
            "a.yaml",
            b"minio_secure: false\nMINIO_USE_SSL: true\n",
            "a.yaml: minio_secure and MINIO_USE_SSL are both set, and differ",
        ),
        (".env", b"\xff\xfe=secret", ".env is no UTF-8 text"),
        ("own.yaml", b"voice_modle: secret", "own.yaml: voice_modle is no setting; did you mean voice_model?"),
        (
            "own.yaml",
            b"BONAFIDE_VOICE_MODEL: secret",
            "own.yaml: BONAFIDE_VOICE_MODEL is no setting; did you mean voice_m",
        ),
        ("own.yaml", b"keys: [secret\nb: secret", "own.yaml is no valid YAML (line 2)"),
        ("own.yaml", b"- secret", "own.yaml must hold settings, like `voice_model: bundled`"),
        ("own.yaml", b"\xff\xfesecret", "own.yaml is no UTF-8 text"),
    ],
)
def test_files_of_settings_are_checked_too(
    monkeypatch: pytest.MonkeyPatch, file: str, content: bytes, sentence: str
) -> None:
    Path(file).write_bytes(content)
    if file != ".env":
        monkeypatch.setenv("BONAFIDE_CONFIG", file)
    with pytest.raises(WrongSettings, match=re.escape(sentence)) as wrong:
        read_settings()
    assert "secret" not in str(wrong.value)


def test_files_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BONAFIDE_CACHE_TTL_S=7\nPATH_OF_OTHERS=x\nBONAFIDE_VOICE_THRESHOLD=\n")
    Path("own.yaml").write_text(
        "allowed_buckets: [calls, photos]\nMINIO_SECURE: true\nredis_port: 1\ngrpc_ports: 50061\n"
    )
    monkeypatch.setenv("BONAFIDE_CONFIG", "own.yaml")
    settings = read_settings()
    assert (settings.cache_ttl_s, settings.allowed_buckets) == (7, ("calls", "photos"))
    assert (settings.minio_secure, settings.redis_port, settings.grpc_ports) == (True, 1, (50061,))


@pytest.mark.parametrize("name", ["BONAFIDE_ADDRESS", "BONAFIDE_API_KEY", "BONAFIDE_DATA_DIR", "BONAFIDE_SPEECH_DIR"])
def test_variables_of_the_clients_and_of_training_may_be_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    read_settings()


def test_lists_may_be_json_or_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_ALLOWED_BUCKETS", '["calls", "photos"]')
    monkeypatch.setenv("BONAFIDE_ALLOWED_ORIGINS", '"https://a.example/, http://[::1]:8080"')
    monkeypatch.setenv("BONAFIDE_ALLOWED_HOSTS", "fd00::1, [::1]:80, voice.example.com:443")
    monkeypatch.setenv("BONAFIDE_GRPC_PORTS", "[50061]")
    settings = read_settings()
    assert settings.allowed_buckets == ("calls", "photos")
    assert settings.allowed_origins == ("https://a.example", "http://[::1]:8080")
    assert settings.allowed_hosts == ("[fd00::1]", "[::1]", "voice.example.com")
    assert settings.grpc_ports == (50061,)


def test_grpc_is_switched_off_by_an_empty_list_not_by_an_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_GRPC_PORTS", "[]")
    assert read_settings().grpc_ports == ()
    monkeypatch.setenv("BONAFIDE_GRPC_PORTS", "")
    assert read_settings().grpc_ports == (50051, 50052)


REDIS = RedisServer("h", 6379)


@pytest.mark.parametrize(
    ("environment", "server"),
    [
        ({}, None),
        ({"REDIS_PORT": "tcp://10.0.0.1:6380"}, None),
        ({"REDIS_HOST": "h"}, REDIS),
        ({"REDIS_HOST": "h", "REDIS_PORT": "1"}, replace(REDIS, port=1)),
        ({"REDIS_HOST": "h", "REDIS_PORT": "tcp://10.0.0.1:6380"}, replace(REDIS, port=6380)),
        ({"REDIS_HOST": "h:2", "REDIS_PORT": "tcp://10.0.0.1:6380"}, replace(REDIS, port=2)),
        ({"REDIS_HOST": "h:2", "REDIS_PORT": "2"}, replace(REDIS, port=2)),
        ({"REDIS_HOST": "[::1]:6380"}, RedisServer("::1", 6380)),
        ({"REDIS_HOST": "::1", "REDIS_PASSWORD": "p"}, RedisServer("::1", 6379, password=SecretStr("p"))),
        ({"REDIS_HOST": "rediss://h"}, replace(REDIS, tls=True)),
        ({"REDIS_URL": "rediss://h:3/1"}, RedisServer("h", 3, tls=True, db=1)),
        ({"REDIS_URL": "redis://h", "REDIS_PORT": "4"}, replace(REDIS, port=4)),
        ({"REDIS_URL": "redis://h", "REDIS_PORT": "tcp://10.0.0.1:6380"}, REDIS),
        ({"REDIS_URL": "redis://u@h", "REDIS_PASSWORD": "p"}, replace(REDIS, username="u", password=SecretStr("p"))),
    ],
)
def test_where_redis_is(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], server: RedisServer | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert read_settings().redis == server


def test_a_unix_socket_has_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///run/redis.sock?db=1")
    assert (server := read_settings().redis) is not None
    assert (server.path, server.db) == ("/run/redis.sock", 1)


@pytest.mark.parametrize("name", ["BONAFIDE_GRPC_HOST", "BONAFIDE_METRICS_HOST"])
def test_servers_listen_on_ipv6_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    field = name.removeprefix("BONAFIDE_").lower()
    for value in ("::", "[::]"):
        monkeypatch.setenv(name, value)
        assert getattr(read_settings(), field) == "::"
    monkeypatch.setenv(name, "0.0.0.0:3000")
    with pytest.raises(WrongSettings, match=f"{name}: must be a host without a port"):
        read_settings()


def test_passwords_are_in_no_text_of_the_settings() -> None:
    for settings in (
        Settings(redis_host=SecretStr("redis://:hunter2@h")),
        Settings(redis_url=SecretStr("redis://:hunter2@h")),
    ):
        assert "hunter2" not in f"{settings!r} {settings} {settings.redis!r}"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"BONAFIDE_VOICE_THRESHOLD": "1.5"}, "BONAFIDE_VOICE_THRESHOLD: Input should be less than or equal to 1"),
        ({"REDIS_PORT": "secret"}, "REDIS_PORT: Input should be a valid integer"),
        ({"MINIO_ENDPOINT": "localhost:9000"}, "MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set too"),
        ({"BONAFIDE_CALL_TIMEOUT_S": "inf"}, "BONAFIDE_CALL_TIMEOUT_S: Input should be a finite number"),
        ({"BONAFIDE_JOBS_KEEP_HOURS": "Infinity"}, "BONAFIDE_JOBS_KEEP_HOURS: Input should be a finite number"),
        ({"BONAFIDE_GRPC_PORTS": "one"}, "BONAFIDE_GRPC_PORTS: "),
        (
            {
                "MINIO_ENDPOINT": "http://localhost:9000",
                "MINIO_SECURE": "true",
                "MINIO_ACCESS_KEY": "secret",
                "MINIO_SECRET_KEY": "secret",
            },
            "MINIO_SECURE is true, but MINIO_ENDPOINT begins with http://",
        ),
        ({"BONAFIDE_ALLOWED_BUCKETS": "[secret, secret2]"}, "BONAFIDE_ALLOWED_BUCKETS: must be a list like"),
        ({"BONAFIDE_GRPC_PORTS": "50051,50051"}, "BONAFIDE_GRPC_PORTS: must not have the same port twice"),
        ({"BONAFIDE_GRPC_PORTS": "70000"}, "BONAFIDE_GRPC_PORTS: must be ports up to 65535"),
        ({"REDIS_HOST": "redis://:secret#@h"}, "REDIS_HOST: must not have a #"),
        ({"REDIS_HOST": "h:secret"}, "REDIS_HOST: must have a port"),
        ({"REDIS_URL": "http://:secret@h"}, "REDIS_URL: must begin with redis://, rediss:// or unix://"),
        ({"REDIS_URL": "redis://:secret@h", "REDIS_HOST": "h"}, "REDIS_URL and REDIS_HOST are both set"),
        (
            {"REDIS_URL": "redis://:secret@h", "REDIS_PASSWORD": "secret2"},
            "REDIS_URL has another password than REDIS_PASSWORD",
        ),
        ({"REDIS_HOST": "h:1", "REDIS_PORT": "2"}, "REDIS_HOST has another port than REDIS_PORT"),
        ({"MINIO_ENDPOINT": "http://secret:secret@h", **MINIO}, "MINIO_ENDPOINT: must be a scheme, a host and a port"),
        (
            {"MINIO_ENDPOINT": "https://h", "MINIO_SECURE": "false", **MINIO},
            "MINIO_SECURE is false, but MINIO_ENDPOINT begins with https://",
        ),
        ({"MINIO_SECURE": "true", "MINIO_USE_SSL": "0"}, "MINIO_SECURE and MINIO_USE_SSL are both set, and differ"),
        ({"minio_secure": "true", "Minio_Use_SSL": "0"}, "minio_secure and Minio_Use_SSL are both set, and differ"),
        ({"BONAFIDE_DRAIN_S": "20", "bonafide_drain_s": "600"}, "BONAFIDE_DRAIN_S and bonafide_drain_s are both set"),
        ({"bonafide_config": "secret.yaml"}, "bonafide_config is no setting; did you mean BONAFIDE_CONFIG?"),
        (
            {"bonafide_allowed_bucket": "secret"},
            "bonafide_allowed_bucket is no setting; did you mean BONAFIDE_ALLOWED_BU",
        ),
        ({"BONAFIDE_TWILIO_URL": "wss://[secret"}, "BONAFIDE_TWILIO_URL: must be a URL like"),
        ({"BENTOML_PORT": "70000"}, "BENTOML_PORT: must be a port up to 65535"),
        ({"BONAFIDE_LIVE_OVERLAP_S": "0.8"}, "BONAFIDE_LIVE_OVERLAP_S must be at most BONAFIDE_LIVE_CHUNK_S less 0.25"),
        ({"BONAFIDE_ALLOWED_ORIGINS": "app.example.com"}, "BONAFIDE_ALLOWED_ORIGINS: must be origins like https://"),
        ({"BONAFIDE_CONFIG": "nowhere.yaml"}, "BONAFIDE_CONFIG names nowhere.yaml"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettings) as wrong:
        read_settings()
    assert sentence in str(wrong.value)
    assert "secret" not in str(wrong.value)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the `.env` of a developer."""
    monkeypatch.chdir(tmp_path)


def test_the_operators_token_is_long_and_has_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_OPERATOR_TOKEN", "a-token-of-the-operator")
    with pytest.raises(WrongSettings, match="BONAFIDE_METRICS_PORT must be set too"):
        read_settings()
    monkeypatch.setenv("BONAFIDE_METRICS_PORT", "9090")
    assert "operator" not in repr(read_settings().operator_token)
    monkeypatch.setenv("BONAFIDE_OPERATOR_TOKEN", "short")
    with pytest.raises(WrongSettings, match="BONAFIDE_OPERATOR_TOKEN: must be 16") as wrong:
        read_settings()
    assert "short" not in str(wrong.value)
