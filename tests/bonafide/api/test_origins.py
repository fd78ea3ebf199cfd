from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bonafide.api.http import HttpApi
from bonafide.api.origins import AllowedPages, require_own_page
from bonafide.api.security import KeyGate
from bonafide.app import App
from bonafide.errors import Forbidden
from bonafide.settings import Settings
from tests.bonafide.api.socket_server import socket_server

HOST = "voice.example.com:3000"
ALLOWED = Settings.model_validate(
    {"allowed_origins": "https://App.example.com/, http://localhost:8080"}
).allowed_origins


@pytest.mark.parametrize(
    "origin",
    [None, "", f"http://{HOST}", f"https://{HOST}", "http://VOICE.example.com:3000", "https://app.example.com",
     "http://localhost:8080"],
)  # fmt: skip
def test_programs_the_own_page_and_those_allowed_are_let_in(origin: str | None) -> None:
    require_own_page({"host": HOST, **({} if origin is None else {"origin": origin})}, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example.com", "http://voice.example.com", "http://voice.example.com:3001", "file://",
     f"http://evil.example.com/{HOST}", f"http://{HOST}.evil.example.com", f"http://user@{HOST}", "http://app.example.com"],
)  # fmt: skip
def test_pages_of_other_sites_are_not(origin: str) -> None:
    with pytest.raises(Forbidden):
        require_own_page({"host": HOST, "origin": origin}, ALLOWED)


APP_ORIGINS = [
    "capacitor://localhost", "ionic://localhost", "http://localhost", "https://localhost", "file://", "null", "app://-",
]  # fmt: skip


@pytest.mark.parametrize("origin", APP_ORIGINS)
def test_origins_of_apps_can_be_allowed(origin: str) -> None:
    with pytest.raises(Forbidden):
        require_own_page({"host": HOST, "origin": origin}, ())
    allowed = Settings.model_validate({"allowed_origins": f"https://other.example,{origin}"}).allowed_origins
    require_own_page({"host": HOST, "origin": origin}, allowed)
    require_own_page({"host": HOST, "origin": "https://other.example"}, allowed)


@pytest.mark.parametrize("wrong", ["*", "app.example.com", "https://*.example.com", "https://a.example/app", "//a"])
def test_what_no_browser_sends_is_no_origin(wrong: str) -> None:
    with pytest.raises(ValidationError, match="must be origins like"):
        Settings.model_validate({"allowed_origins": wrong})


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP routes, behind the check of keys, with pages of `APP_ORIGINS` allowed."""
    api = HttpApi()
    api.app = app
    origins = Settings.model_validate({"allowed_origins": ",".join(APP_ORIGINS)}).allowed_origins
    transport = httpx.ASGITransport(AllowedPages(KeyGate(api.routes(), api.access), origins))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("origin", APP_ORIGINS)
@pytest.mark.parametrize("route", ["/detect_audio", "/predict_liveness", "/analyze_audio", "/stats", "/jobs/1"])
async def test_preflights_of_allowed_pages_are_answered(http: httpx.AsyncClient, origin: str, route: str) -> None:
    asked = {
        "origin": origin,
        "access-control-request-method": {"/stats": "GET", "/jobs/1": "DELETE"}.get(route, "POST"),
        "access-control-request-headers": "authorization,content-type,x-timeout-seconds,x-channel-mode",
        "access-control-request-private-network": "true",
    }
    answer = await http.options(route, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    refused = await http.options(route, headers={**asked, "origin": "https://evil.example"})
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)


async def test_allowed_pages_read_answers_and_errors(http: httpx.AsyncClient) -> None:
    for origin, shown in (("capacitor://localhost", "capacitor://localhost"), ("https://evil.example", None)):
        for answer in (
            await http.get("/health", headers={"origin": origin}),
            await http.post("/detect_audio", content=b"", headers={"origin": origin}),
        ):
            assert answer.headers.get("access-control-allow-origin") == shown
            assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in (await http.get("/health")).headers


async def test_a_foreign_page_is_refused_at_the_handshake() -> None:
    async with socket_server() as server:
        for url in (server.url, server.phone_url):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, origin="https://evil.example.com")  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403
        own = server.url.split("/")[2]
        async with connect(server.url, origin=f"http://{own}"):  # type: ignore[arg-type]
            await server.until(lambda: server.sessions.active == 1)
