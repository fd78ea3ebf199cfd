import pytest

from bonafide.errors import Forbidden
from bonafide.security.hosts import AllowedHosts
from bonafide.settings import Settings

LOOPBACK = [
    "localhost",
    "LOCALHOST:3000",
    "localhost.",
    "127.0.0.1:3000",
    "127.8.8.8",
    "[::1]:3000",
    "[0:0:0:0:0:0:0:1]",
]
OTHERS = ["rebound.example:3000", "localhost.example", "10.0.0.7", "[2001:db8::1]:3000", "0.0.0.0:3000", "", "[::1",
          "127.0.0.1@a", "127.0.0.1:3000/", "a b", "127.0.0.1, rebound.example", "localhost:3000:80"]  # fmt: skip
KEYS = {"keys": "a line"}


def service(host: str = "127.0.0.1", **settings: object) -> AllowedHosts:
    return AllowedHosts.of_service(host, Settings.model_validate(settings))


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_is_called_by_its_names(host: str) -> None:
    service().require([host], "127.0.0.1")
    AllowedHosts.of_listener("127.0.0.1").require([host], "127.0.0.1")


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("listening", ["127.0.0.1", "::1", "unix:"])
def test_and_by_no_other(listening: str, host: str) -> None:
    for hosts in (service(listening), AllowedHosts.of_listener(listening)):
        with pytest.raises(Forbidden, match="BONAFIDE_ALLOWED_HOSTS"):
            hosts.require([host], "127.0.0.1")


def test_each_of_several_headers_counts_and_none_comes_from_no_browser() -> None:
    service().require([], "127.0.0.1")
    with pytest.raises(Forbidden):
        service().require(["localhost", "rebound.example"], "127.0.0.1")


def test_configured_names() -> None:
    hosts = service(allowed_hosts="Voice.example.com:8443, [2001:DB8::1],bonafide.")
    for host in ("voice.example.com", "VOICE.EXAMPLE.COM:443", "[2001:db8:0::1]:1", "bonafide:3000", "localhost:3000"):
        hosts.require([host], "127.0.0.1")
    for host in ("example.com", "a.voice.example.com", "rebound.example"):
        with pytest.raises(Forbidden):
            hosts.require([host], "127.0.0.1")
    service(allowed_hosts="*").require(["rebound.example"], "127.0.0.1")


def test_the_address_that_twilio_is_told_is_a_name_too() -> None:
    hosts = service(twilio_url="wss://Voice.example.com/ws/twilio")
    hosts.require(["voice.example.com"], "127.0.0.1")
    with pytest.raises(Forbidden):
        hosts.require(["rebound.example"], "127.0.0.1")


@pytest.mark.parametrize(("host", "settings"), [("0.0.0.0", {"allow_public": True}), ("127.0.0.1", KEYS), ("::", KEYS)])
def test_not_checked_where_callers_have_keys_or_names_are_not_known(host: str, settings: dict[str, object]) -> None:
    service(host, **settings).require(["any.example"], "10.0.0.7")


@pytest.mark.parametrize("settings", [{"allow_public": True}, KEYS])
def test_checked_everywhere_with_configured_names(settings: dict[str, object]) -> None:
    hosts = service("0.0.0.0", allowed_hosts="voice.example.com", **settings)
    hosts.require(["voice.example.com"], "10.0.0.7")
    for host in ("rebound.example", "10.0.0.8:3000", "[fd00::8]"):
        with pytest.raises(Forbidden):
            hosts.require([host], "10.0.0.7")


@pytest.mark.parametrize(
    ("host", "own"),
    [("10.0.0.7:3000", "10.0.0.7"), ("[fd00::7]:3000", "fd00::7"), ("10.0.0.7:3000", "::ffff:10.0.0.7")],
)
def test_a_probe_calls_a_pod_by_its_own_address(host: str, own: str) -> None:
    service("0.0.0.0", allowed_hosts="voice.example.com", allow_public=True).require([host], own)


@pytest.mark.parametrize("wrong", ["https://voice.example.com", "voice.example.com/", "*.example.com"])
def test_what_is_no_name_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"names like voice\.example\.com"):
        Settings.model_validate({"allowed_hosts": wrong})


def test_a_name_that_cannot_be_read_lets_no_malformed_host_in() -> None:
    for hosts in (AllowedHosts(["fd00::1"]), service(allowed_hosts="fd00::1")):
        with pytest.raises(Forbidden):
            hosts.require(["a b"], "127.0.0.1")
    service(allowed_hosts="fd00::1").require(["[fd00::1]:3000"], "127.0.0.1")
