"""Signatures of AudioHook: the example of the provider's documentation, and what is not signed like it."""

import base64
import hashlib
import hmac
import time

import pytest
from websockets.exceptions import InvalidStatus

from bonafide.api.telephony.genesys_signature import require_genesys_signature
from bonafide.errors import Unauthenticated
from bonafide.settings import Settings
from tests.bonafide.api.socket_server import socket_server
from tests.bonafide.api.telephony.exchanges import socket

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


async def test_a_socket_opens_for_a_signed_handshake_alone() -> None:
    async with socket_server(settings=SETTINGS) as server:
        host, created = f"127.0.0.1:{server.port}", int(time.time())
        headers = {name: value for name, value in HEADERS.items() if name.startswith("audiohook")} | {"x-api-key": KEY}
        values = ["/ws/genesys?track=both", host, *headers.values()]
        parameters = f'({NAMES});keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created={created}'
        lines = [f"{name}: {value}" for name, value in zip(NAMES.split(), values, strict=True)]
        base = "\n".join([*lines, f'"@signature-params": {parameters}'])
        digest = hmac.new(base64.b64decode(SECRET), base.encode(), hashlib.sha256).digest()
        headers |= {"signature-input": f"a={parameters}", "signature": f"a=:{base64.b64encode(digest).decode()}:"}
        async with socket(server, "genesys?track=both", additional_headers=headers):
            await server.until(lambda: server.sessions.active == 1)
        for path, shown in (("genesys?track=both", {}), ("genesys?track=inbound", headers)):
            with pytest.raises(InvalidStatus) as refused:
                async with socket(server, path, additional_headers=shown):
                    pass
            assert refused.value.response.status_code == 401
