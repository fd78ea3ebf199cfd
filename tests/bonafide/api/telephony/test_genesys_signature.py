"""Signatures of AudioHook: the example of the provider's documentation, and what is not signed like it."""

import pytest

from bonafide.api.telephony.genesys_signature import require_genesys_signature
from bonafide.errors import Unauthenticated
from bonafide.settings import Settings

KEY, SECRET = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh", "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
SETTINGS = Settings.model_validate({"genesys": True, "genesys_api_key": KEY, "genesys_client_secret": SECRET})
CREATED, TARGET = 1641013200, "/api/v1/voicebiometrics/ws"
NAMES = (
    '"@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" "audiohook-correlation-id" '
    '"x-api-key"'
)
INPUT = (
    f'sig1=({NAMES});keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;'
    "expires=3282026430"
)
HEADERS = {
    "host": "audiohook.example.com",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": INPUT,
}


def test_the_example_of_the_documentation_is_signed() -> None:
    require_genesys_signature(HEADERS, TARGET, SETTINGS, CREATED + 5)


def test_without_a_secret_nothing_is_checked() -> None:
    require_genesys_signature({}, TARGET, Settings(genesys=True))


@pytest.mark.parametrize(
    ("changed", "target", "now"),
    [
        ({}, TARGET, CREATED + 60),
        ({}, TARGET, CREATED - 60),
        ({}, TARGET + "?x", CREATED),
        ({"host": "elsewhere.example.com"}, TARGET, CREATED),
        ({"audiohook-session-id": "other"}, TARGET, CREATED),
        ({"audiohook-session-id": ""}, TARGET, CREATED),
        ({"x-api-key": "other"}, TARGET, CREATED),
        ({"signature": ""}, TARGET, CREATED),
        ({"signature": "sig1=:AAAA:"}, TARGET, CREATED),
        ({"signature": "sig1=:A:"}, TARGET, CREATED),
        ({"signature": "sig2=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:"}, TARGET, CREATED),
        ({"signature-input": ""}, TARGET, CREATED),
        ({"signature-input": INPUT.replace(' "x-api-key"', "")}, TARGET, CREATED),
        ({"signature-input": INPUT.replace("VGhpc0lz", "")}, TARGET, CREATED),
        ({"signature-input": INPUT.replace("hmac-sha256", "none")}, TARGET, CREATED),
        ({"signature-input": INPUT + ";created=1"}, TARGET, CREATED),
        ({"signature-input": INPUT.replace("created=1641013200;", "")}, TARGET, CREATED),
        ({"x-api-key": "é\udc80"}, TARGET, CREATED),
    ],
)
def test_everything_else_is_not(changed: dict[str, str], target: str, now: float) -> None:
    with pytest.raises(Unauthenticated):
        require_genesys_signature({**HEADERS, **changed}, target, SETTINGS, now)
