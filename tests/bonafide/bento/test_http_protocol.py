"""Connections that send too much, too slowly or nothing, and those who are refused before they have sent all."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.bonafide.bento.edge_server import UPGRADE, EdgeServer, closed_in, edge_server, read_until, until

MIB = 2**20
DELAY_S = 2.0
"""Alone on a machine it is 0.02 s."""
BUSY_S = 4.0
"""More than a busy machine needs; less than uvicorn's keep-alive."""
HEADER_S, STALL_S, LINGER_S = 0.4, 0.8, 0.5
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST % b"upload" + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[EdgeServer]:
    limits = {"header_timeout_s": HEADER_S, "stall_s": STALL_S, "linger_s": LINGER_S, "body_rate": 10_000}
    with edge_server(http=limits) as running:
        yield running


def refused(answer: bytes) -> tuple[int, str]:
    """Status and error code of a whole response that ends its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert error["request_id"].encode() in head
    return int(head.split()[1]), error["code"]


@pytest.mark.parametrize(
    ("head", "flood"),
    [
        (GET + b"X-A: ", b"a" * 32 * MIB),
        (b"GET /", b"a" * 32 * MIB),
        (GET, b"a:b\r\n" * 2 * MIB),
        (CHUNKED + b"0\r\nX-A: ", b"a" * 32 * MIB),
        (CHUNKED + b"0\r\n", b"a:b\r\n" * 2 * MIB),
        (CHUNKED + b"1;", b"a" * 32 * MIB),
        (CHUNKED, b"1\r\na\r\n" * 2 * MIB),
        (b"", (GET + b"\r\n") * 100_000),
        (b"", b"\r\n" * 16 * MIB),
    ],
    ids=["value", "url", "headers", "trailer", "trailers", "extension", "chunks", "pipelined", "empty lines"],
)
def test_a_flood_delays_nobody_and_is_not_kept(server: EdgeServer, head: bytes, flood: bytes) -> None:
    before = server.rss
    sock = server.connect(head)

    def send() -> None:
        with contextlib.suppress(OSError):
            sock.sendall(flood)

    sending = threading.Thread(target=send)
    sending.start()
    assert server.slowest_answer(0.7) < DELAY_S
    assert server.rss - before < 24 * MIB
    sock.close()
    sending.join()


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
        GET + b"X-A: " + b"a" * 100_000,  # and no end
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + b"\r\n",
        GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
        CHUNKED + b"1\r\na\r\n0\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
    ],
    ids=["value", "unfinished", "url", "headers", "handshake", "trailer"],
)
def test_headers_that_are_too_large_are_refused(server: EdgeServer, request_: bytes) -> None:
    sock = server.connect(request_)
    assert refused(closed_in(sock)[1]) == (413, "too_large")


def test_large_bodies_and_headers_within_the_limit_pass(server: EdgeServer) -> None:
    large = POST % b"upload" + b"Content-Length: 3000000\r\nX-A: " + b"a" * 30_000 + b"\r\n\r\n" + b"x" * 3_000_000
    chunks = CHUNKED + b"1\r\nx\r\n" * 60_000 + b"0\r\nX-Trailer: a\r\n\r\n"
    sock = server.connect()
    threading.Thread(target=sock.sendall, args=((large + chunks) * 2 + GET + b"\r\n",)).start()
    data = read_until(sock, b"alive")
    assert [part.rpartition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]] == [
        *[b"3000000", b"60000"] * 2,
        b"alive",
    ]


def test_who_says_nothing_is_closed_without_an_answer(server: EdgeServer) -> None:
    took, answer = closed_in(server.connect())
    assert (HEADER_S * 0.9 < took < HEADER_S + BUSY_S, answer) == (True, b"")


@pytest.mark.parametrize(
    "start", [b"G", GET, GET + b"X-A: a", UPGRADE[:60]], ids=["a letter", "a header", "half a header", "handshake"]
)
def test_who_says_half_of_a_request_is_told_and_closed(server: EdgeServer, start: bytes) -> None:
    took, answer = closed_in(server.connect(start))
    assert refused(answer) == (504, "deadline_exceeded")
    assert took < HEADER_S + LINGER_S + BUSY_S


@pytest.mark.parametrize(
    "head",
    [GET, POST % b"upload" + b"Content-Length: 100000\r\n\r\n", CHUNKED + b"186a0\r\n"],
    ids=["headers", "body", "chunk"],
)
def test_who_sends_a_byte_at_a_time_is_told_and_closed(server: EdgeServer, head: bytes) -> None:
    sock = server.connect(head)
    end = time.monotonic() + 10
    answer = b""
    sock.settimeout(0.05)
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            sock.sendall(b"a")
        with contextlib.suppress(TimeoutError):
            if not (part := sock.recv(4096)):
                break
            answer += part
    assert time.monotonic() < end - 5
    assert refused(answer) == (504, "deadline_exceeded")


def test_a_body_at_the_slowest_rate_arrives(server: EdgeServer) -> None:
    sock = server.connect(POST % b"upload" + b"Content-Length: 30000\r\n\r\n")
    for _ in range(15):
        sock.sendall(b"x" * 2_000)
        time.sleep(0.15)
    read_until(sock, b"30000")


def test_connections_between_two_requests_stay_open(server: EdgeServer) -> None:
    sock = server.connect(GET + b"\r\n")
    read_until(sock, b"alive")
    time.sleep(HEADER_S * 3)
    sock.sendall(GET + b"\r\n")
    read_until(sock, b"alive")


def test_who_does_not_read_the_response_is_cut_off(server: EdgeServer) -> None:
    before = server.rss
    sock = server.connect(GET.replace(b"livez", b"long") + b"\r\n", receive_buffer=4096)
    until(lambda: server.rss - before > 20 * MIB)
    until(lambda: server.rss - before < 20 * MIB, 5)
    sock.close()


@pytest.mark.parametrize(
    ("path", "length"),
    [
        (b"refused", b"Content-Length: 30000000"),
        (b"refused", b"Transfer-Encoding: chunked"),
        (b"too_large", b"Content-Length: 100000000"),
        (b"too_large", b"Transfer-Encoding: chunked"),
    ],
)
def test_who_is_refused_early_is_told_at_once_and_not_read_on(server: EdgeServer, path: bytes, length: bytes) -> None:
    sock = server.connect(POST % path + length + b"\r\n\r\n")
    sock.sendall(b"5f5e100\r\n" if b"chunked" in length else b"")
    began = time.monotonic()
    answer = read_until(sock, b"\r\n\r\nno")
    assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 413 "))
    assert b"connection: close" in answer
    assert sock.recv(4096) == b""  # the end, also at once
    assert time.monotonic() - began < BUSY_S
    sent = 0
    with pytest.raises(ConnectionError):  # noqa: PT012
        while sent < 90 * MIB:
            sent += sock.send(b"x" * 65_536)
    assert sent < 16 * MIB  # the kernels' buffers, and a little that was dropped
    assert time.monotonic() - began < LINGER_S + BUSY_S


def test_who_sends_all_before_it_reads_still_sees_the_refusal(server: EdgeServer) -> None:
    sock = server.connect(POST % b"refused" + b"Content-Length: 200000\r\n\r\n")
    for _ in range(10):
        sock.sendall(b"x" * 20_000)
        time.sleep(0.01)
    _, answer = closed_in(sock)
    assert b" 401 " in answer
    assert answer.endswith(b"no")


async def test_clients_that_read_only_after_they_have_sent_all_see_why_a_photo_is_too_large(server: EdgeServer) -> None:
    url = f"http://127.0.0.1:{server.port}/too_large"
    async with httpx.AsyncClient() as client:
        for _ in range(3):
            assert (await client.post(url, content=bytes(20 * MIB))).status_code == 413


def test_a_refusal_after_the_whole_body_keeps_the_connection(server: EdgeServer) -> None:
    sock = server.connect(POST % b"refused" + b"Content-Length: 5\r\n\r\nabcde")
    assert b"connection: close" not in read_until(sock, b"no")
    sock.sendall(GET + b"\r\n")
    read_until(sock, b"alive")


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
def test_a_trailer_is_no_header_however_it_arrives(server: EdgeServer, apart: bool) -> None:
    head = POST % b"named" + b"Transfer-Encoding: chunked\r\n"
    sock = server.connect(head + b"X-Name: a\r\n\r\n0\r\n\r\n")
    read_until(sock, b"\r\n\r\nnamed")
    trailer = b"0\r\nX-Name: a\r\n\r\n"
    for part in (head + b"\r\n", trailer) if apart else (head + b"\r\n" + trailer,):
        sock.sendall(part)
        time.sleep(0.05 if apart else 0)
    read_until(sock, b"nameless")


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket\r\nConnection: keep-alive"], ids=["h2c", "contradicted"])
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
@pytest.mark.parametrize(
    "length", [b"Content-Length: %d\r\n\r\n%b", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"]
)
def test_the_body_of_a_request_that_wants_to_upgrade_is_no_request(
    server: EdgeServer, length: bytes, apart: bool, upgrade: bytes
) -> None:
    """Java's client asks for h2c with its first request."""
    head = POST % b"upload" + b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
    body = b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300
    sock = server.connect()
    whole = head + length % (len(body), body)
    for part in whole.partition(b"\r\n\r\n") if apart else (whole,):
        sock.sendall(part)
        time.sleep(0.05 if apart else 0)
    assert read_until(sock, b"%d" % len(body)).count(b"HTTP/1.1") == 1
    sock.sendall(GET + b"\r\n")
    assert read_until(sock, b"alive").count(b"HTTP/1.1") == 1


def test_requests_behind_one_that_wants_to_upgrade_are_answered(server: EdgeServer) -> None:
    upgrade = GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    data = read_until(server.connect(upgrade * 2 + POST % b"upload" + b"Content-Length: 3\r\n\r\nabc"), b"3")
    assert data.count(b"alive") == 2


@pytest.mark.parametrize("target", [b"localhost:443", b"/upload"])
def test_what_is_sent_through_a_tunnel_is_no_request(server: EdgeServer, target: bytes) -> None:
    _, answer = closed_in(
        server.connect(b"CONNECT " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" + GET + b"\r\n")
    )
    assert answer.count(b"HTTP/1.1") == 1
    assert refused(answer) == (400, "invalid_request")


@pytest.mark.parametrize("start", [b"", CHUNKED + b"1\r\na\r\n"], ids=["first", "in a body"])
def test_what_is_no_http_is_refused(server: EdgeServer, start: bytes) -> None:
    _, answer = closed_in(server.connect(start + b"\x16\x03\x01\x00\xa5 no HTTP\r\n\r\n"))
    assert refused(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("behind", "status"),
    [(b"\x16\x03\x01 no HTTP\r\n\r\n", b"400"), (UPGRADE % b"count", b"101")],
    ids=["no HTTP", "a handshake"],
)
def test_nothing_is_answered_in_the_place_of_a_request_in_progress(
    server: EdgeServer, behind: bytes, status: bytes
) -> None:
    assert closed_in(server.connect(GET + b"\r\n" + behind))[1] == b""
    sock = server.connect(GET + b"\r\n")
    read_until(sock, b"alive")
    sock.sendall(behind)
    assert sock.recv(65_536).startswith(b"HTTP/1.1 " + status)
