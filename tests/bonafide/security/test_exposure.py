import pytest

from bonafide.security.exposure import UnprotectedError, is_public, require_private, require_protection
from bonafide.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "unix:", "unix:/run/b.sock"])
def test_this_machine_alone(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "10.0.0.7", "bank.example", "", "0", "*"])
def test_others_too(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(("http", "grpc"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "[::]"), ("0.0.0.0", "0.0.0.0")])
@pytest.mark.parametrize(
    ("protection", "enough"),
    [
        ({}, False),
        ({"tls_cert": "c", "tls_key": "k"}, False),
        ({"keys": "a line"}, True),
        ({"keys_file": "keys"}, True),
        ({"tls_cert": "c", "tls_key": "k", "tls_client_ca": "ca"}, True),
        ({"allow_public": True}, True),
    ],
)
def test_public_only_with_protection(http: str, grpc: str, protection: dict[str, object], enough: bool) -> None:
    settings = Settings.model_validate({"grpc_host": grpc, **protection})
    if enough:
        require_protection(http, settings)
    else:
        with pytest.raises(UnprotectedError, match="BONAFIDE_KEYS_FILE"):
            require_protection(http, settings)


def test_loopback_needs_nothing() -> None:
    require_protection("127.0.0.1", Settings())
    require_protection("127.0.0.1", Settings.model_validate({"grpc_host": "0.0.0.0", "grpc_ports": ()}))


def test_a_runner_that_asks_for_no_token_says_so(caplog: pytest.LogCaptureFixture) -> None:
    require_private("WavLMRunner", "127.0.0.1", Settings.model_validate({"runner_token": "a-token-of-this-test"}))
    assert not caplog.messages
    require_private("WavLMRunner", "127.0.0.1", Settings())
    assert "WavLMRunner asks for no token" in caplog.text


def test_a_runner_is_helped_by_no_key() -> None:
    require_private("WavLMRunner", "127.0.0.1", Settings())
    require_private("WavLMRunner", "0.0.0.0", Settings(allow_public=True))
    with pytest.raises(UnprotectedError, match="WavLMRunner on"):
        require_private("WavLMRunner", "0.0.0.0", Settings.model_validate({"keys": "a line"}))


def test_audiosocket_is_helped_by_no_key_but_by_named_networks() -> None:
    public = {"audiosocket_port": 9092, "audiosocket_host": "0.0.0.0", "keys": "a line"}
    with pytest.raises(UnprotectedError, match="BONAFIDE_AUDIOSOCKET_NETWORKS"):
        require_protection("127.0.0.1", Settings.model_validate(public))
    for protection in ({"audiosocket_networks": "10.0.0.5"}, {"allow_public": True}, {"audiosocket_host": "127.0.0.1"}):
        require_protection("127.0.0.1", Settings.model_validate({**public, **protection}))
    require_protection("127.0.0.1", Settings.model_validate({**public, "audiosocket_port": None}))
