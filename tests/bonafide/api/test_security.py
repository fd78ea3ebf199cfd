from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from bonafide.api.security import OPEN, KeyGate, presented_keys
from bonafide.security.access import Access
from bonafide.security.keys import KeyStore, new_key

KEY, LINE = new_key("bank", calls_per_minute=3)
SHOWN = [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}, {"x-api-key": KEY}]
NOT_SHOWN = [
    {},
    {"authorization": KEY},
    {"authorization": f"Basic {KEY}"},
    {"authorization": "Bearer "},
    {"authorization": "Bearer bonafide_wrong"},
    {"x-api-key": KEY[:-1]},
    {"x-api-key": "é"},
    {"cookie": f"key={KEY}"},
]


def behind(access: Access | None) -> KeyGate:
    """The gate before an app that answers everything, and reads no body."""

    async def answer(request: Request) -> Response:
        return Response("let in")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("let in")
        await websocket.close()

    app = Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"]), WebSocketRoute("/ws/detect", socket)]
    )
    return KeyGate(app, lambda: access)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(behind(Access(KeyStore(LINE))), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("headers", SHOWN)
async def test_who_shows_a_key_is_let_in(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/detect_audio", headers=headers)).text == "let in"


@pytest.mark.parametrize("headers", NOT_SHOWN)
@pytest.mark.parametrize("path", ["/detect_audio", "/stats", "/metrics", "/unknown", "//health", "/health/", "/HEALTH"])
async def test_who_does_not_is_answered_401(client: httpx.AsyncClient, headers: dict[str, str], path: str) -> None:
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    answer = await client.get(f"http://test{path}", headers={**encoded, b"x-request-id": b"req-1"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"] == "req-1"
    assert answer.json()["error"]["code"] == "unauthenticated"


async def test_a_refused_body_is_not_read(client: httpx.AsyncClient) -> None:
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"x"

    assert (await client.post("/detect_audio", content=parts())).status_code == 401
    assert sent == 0


@pytest.mark.parametrize("path", [*sorted(OPEN), "/assets/page.js"])
async def test_health_and_what_describes_the_service_are_open(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).text == "let in"
    assert (await client.options("/detect_audio")).text == "let in"


async def test_a_key_has_its_limit(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/stats", headers={"x-api-key": KEY}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    assert answers[-1].json()["error"]["code"] == "overloaded"


async def test_before_the_service_has_started_nobody_is_let_in() -> None:
    transport = httpx.ASGITransport(behind(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/stats", headers={"x-api-key": KEY})).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def test_without_keys_everybody_is() -> None:
    transport = httpx.ASGITransport(behind(Access(None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/stats")).text == "let in"


async def test_metrics_that_have_moved_are_not_here_for_anybody() -> None:
    gate = KeyGate(behind(Access(None)), lambda: Access(None), metrics_moved=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/stats")).text == "let in"


def sockets() -> TestClient:
    return TestClient(behind(Access(KeyStore(LINE))))


@pytest.mark.parametrize("headers", SHOWN)
def test_a_socket_with_a_key_in_a_header(headers: dict[str, str]) -> None:
    with sockets().websocket_connect("/ws/detect", headers=headers) as socket:
        assert socket.receive_text() == "let in"
        assert socket.accepted_subprotocol is None


def test_a_browsers_socket_offers_its_key_as_a_subprotocol_and_never_gets_it_back() -> None:
    with sockets().websocket_connect("/ws/detect", subprotocols=["bonafide", f"bonafide.key.{KEY}"]) as socket:
        assert socket.receive_text() == "let in"
        assert socket.accepted_subprotocol == "bonafide"
    with sockets().websocket_connect("/ws/detect", subprotocols=[f"bonafide.key.{KEY}"]) as socket:
        assert socket.accepted_subprotocol is None


@pytest.mark.parametrize(
    "subprotocols", [[], ["bonafide"], ["bonafide", "bonafide.key."], ["bonafide.key.wrong"], [KEY]]
)
def test_a_socket_without_a_key_is_refused_at_the_handshake(subprotocols: list[str]) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        sockets().websocket_connect("/ws/detect", subprotocols=subprotocols),
    ):
        pass
    assert refused.value.status_code == 401
    assert refused.value.json()["error"]["code"] == "unauthenticated"


async def test_a_server_that_cannot_answer_a_handshake_closes_it_with_1008() -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/ws/detect", "headers": [], "subprotocols": []}
    await behind(Access(KeyStore(LINE)))(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_other_scopes_pass() -> None:
    passed: list[str] = []

    async def app(scope: object, receive: object, send: object) -> None:
        passed.append("lifespan")

    async def receive() -> dict[str, object]:
        return {}

    async def send(message: object) -> None:
        raise AssertionError("nothing is sent")

    await KeyGate(app, lambda: None)({"type": "lifespan"}, receive, send)
    assert passed == ["lifespan"]


def test_the_first_place_of_a_key_wins() -> None:
    assert presented_keys([("x-api-key", "b"), ("authorization", "Bearer a")]) == {"a"}
    assert presented_keys([("authorization", "Basic a"), ("x-api-key", "b")]) == {"b"}
    assert presented_keys([("authorization", "Bearer "), ("x-api-key", ""), ("x-other", "c")]) == frozenset()


def test_a_place_may_hold_several() -> None:
    assert presented_keys([("x-api-key", "a"), ("x-api-key", "b"), ("x-api-key", "a")]) == {"a", "b"}
    assert presented_keys([("authorization", "Bearer a"), ("authorization", "Basic b")]) == {"a"}


@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
@pytest.mark.parametrize("wrong_first", [True, False])
async def test_different_keys_are_refused_in_any_order_and_the_same_twice_is_not(
    client: httpx.AsyncClient, name: str, wrong_first: bool
) -> None:
    """As over gRPC, see test_grpc_security.py."""
    scheme = "Bearer " if name == "authorization" else ""
    wrong, right = (name, f"{scheme}bonafide_wrong"), (name, f"{scheme}{KEY}")
    several = [wrong, right] if wrong_first else [right, wrong]
    assert (await client.post("/detect_audio", headers=several)).status_code == 401
    assert (await client.post("/detect_audio", headers=[right, right])).text == "let in"


def test_different_keys_offered_by_a_browser_are_refused() -> None:
    with (
        TestClient(behind(Access(KeyStore(LINE)))) as client,
        pytest.raises(WebSocketDenialResponse),
        client.websocket_connect("/ws/detect", subprotocols=[f"bonafide.key.{key}" for key in ("wrong", KEY)]),
    ):
        pass


def test_a_key_in_the_query_counts_only_where_callers_have_no_other_way() -> None:
    gate = KeyGate(behind(Access(KeyStore(LINE))), lambda: Access(KeyStore(LINE)), query_keys=frozenset({"/ws/phone"}))
    scope = {"type": "websocket", "path": "/ws/phone", "query_string": b"api_key=a%2Bb&x=1&api_key="}
    assert gate._keys_in_query(scope) == {"a+b"}
    assert gate._keys_in_query({**scope, "path": "/ws/detect"}) == frozenset()
    assert gate._keys_in_query({"type": "websocket", "path": "/ws/phone"}) == frozenset()
