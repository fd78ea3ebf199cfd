"""Errors in the environment: the message names the variable, and never its value."""

from pathlib import Path

import pytest

from bonafide.environment import WrongSettings, read_settings
from bonafide.settings import Settings


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


@pytest.mark.parametrize("name", ["BONAFIDE_ADDRESS", "BONAFIDE_API_KEY", "BONAFIDE_DATA_DIR"])
def test_variables_of_the_clients_and_of_training_may_be_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    read_settings()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"BONAFIDE_VOICE_THRESHOLD": "1.5"}, "BONAFIDE_VOICE_THRESHOLD: Input should be less than or equal to 1"),
        ({"REDIS_PORT": "secret"}, "REDIS_PORT: Input should be a valid integer"),
        ({"MINIO_ENDPOINT": "localhost:9000"}, "MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set too"),
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
