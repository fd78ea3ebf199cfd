"""Connections from their acceptance on: how many there may be, and handshakes of TLS."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from tests.bonafide.bento.edge_server import UPGRADE, EdgeServer, closed_in, edge_server, masked, read_until, until
from tests.certificates import Authority

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEADER_S = 1.0
BUSY_S = 5.0
"""More than a busy machine needs."""
LIMITS = {"header_timeout_s": HEADER_S, "linger_s": 0.3}


@pytest.fixture(scope="module")
def small() -> Iterator[EdgeServer]:
    """Has places for four connections of one address."""
    settings = {"http_max_connections": 100, "http_max_connections_per_address": 4}
    with edge_server(settings=settings, http={"header_timeout_s": 20.0}) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[EdgeServer]:
    """Speaks TLS, and has places for four connections."""
    certificate = authority.sign("server")
    settings = {"http_max_connections": 4, "http_max_connections_per_address": 0}
    tls = [str(certificate.cert), str(certificate.key)]
    with edge_server(settings=settings, http=LIMITS, tls=tls) as running:
        yield running


def has_room(server: EdgeServer) -> bool:
    """Whether it takes another connection."""
    with contextlib.suppress(ConnectionError), server.connect(GET) as sock:
        return b" 200 " in sock.recv(4096)
    return False


def test_one_address_has_so_many_connections_and_no_more(small: EdgeServer) -> None:
    taken = [small.connect(), small.connect(GET), small.connect(GET[:10]), small.upgrade(b"count")]
    took, answer = closed_in(small.connect())
    assert took < BUSY_S
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 5" in answer
    assert b'"code": "overloaded"' in answer
    with socket.socket() as other:  # another address of this machine
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", small.port))
        other.sendall(GET)
        read_until(other, b"alive")
    for sock in taken:  # each gives its place back, whatever it was
        assert not has_room(small)
        sock.close()
        until(lambda: has_room(small))
        small.opened.append(small.connect())
    for sock in small.opened:
        sock.close()
    until(lambda: has_room(small))


def client_context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.cert))


def secured(server: EdgeServer, authority: Authority) -> ssl.SSLSocket:
    return client_context(authority).wrap_socket(server.connect(), server_hostname="localhost")


def test_http_over_tls(secure: EdgeServer, authority: Authority) -> None:
    with secured(secure, authority) as sock:
        for _ in range(2):
            sock.sendall(GET)
            read_until(sock, b"alive")
        sock.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        read_until(sock, b"3000000")
        sock.sendall(b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n")
        assert b"connection: close" in read_until(sock, b"no")
        assert closed_in(sock)[0] < BUSY_S


def test_sockets_over_tls(secure: EdgeServer, authority: Authority) -> None:
    with secured(secure, authority) as sock:
        sock.sendall(UPGRADE % b"count")
        read_until(sock, b"\r\n\r\n")
        sock.sendall(masked(1, b"a" * 50_000) * 3 + masked(9, b"p"))
        answers = b""
        while len(answers) < 3 * 7 + 3:
            answers += sock.recv(4096)
        assert answers.replace(b"\x8a\x01p", b"") == b"\x81\x0550000" * 3


def test_a_request_that_comes_with_the_end_of_the_handshake(secure: EdgeServer, authority: Authority) -> None:
    for _ in range(5):
        raw = secure.connect()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        raw.sendall(outgoing.read())
        while True:
            incoming.write(raw.recv(65_536) or pytest.fail("closed"))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
        tls.write(GET)
        raw.sendall(outgoing.read())  # in one piece with the client's last message of the handshake
        answer = b""
        while not answer.endswith(b"alive"):
            incoming.write(raw.recv(65_536) or pytest.fail("closed"))
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    answer += tls.read(65_536)
        raw.close()


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], ids=["nothing", "half"])
def test_half_a_tls_handshake_is_given_up(secure: EdgeServer, authority: Authority, start: bytes) -> None:
    silent = [secure.connect(start) for _ in range(4)]
    took, answer = closed_in(secure.connect(GET))  # all places are taken
    assert (took < HEADER_S * 0.7, answer) == (True, b"")
    took, _ = closed_in(silent[0])
    assert HEADER_S * 0.5 < took < HEADER_S + BUSY_S
    time.sleep(0.2)
    with secured(secure, authority) as sock:
        sock.sendall(GET)
        read_until(sock, b"alive")


def test_what_is_no_tls_gives_its_place_back(secure: EdgeServer, authority: Authority) -> None:
    for _ in range(8):
        closed_in(secure.connect(GET))
    with secured(secure, authority) as silent:  # after a handshake the same limits count
        assert closed_in(silent)[0] < HEADER_S + BUSY_S
    with secured(secure, authority) as sock:
        sock.sendall(GET)
        read_until(sock, b"alive")
