import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bonafide.api.origins import require_own_page
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


async def test_a_foreign_page_is_refused_at_the_handshake() -> None:
    async with socket_server() as server:
        for url in (server.url, server.phone_url):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, origin="https://evil.example.com")  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403
        own = server.url.split("/")[2]
        async with connect(server.url, origin=f"http://{own}"):  # type: ignore[arg-type]
            await server.until(lambda: server.sessions.active == 1)
