"""Bursts of frames, fragments and pings on one socket: nobody else waits, and little is held."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.bonafide.bento.edge_server import UPGRADE, EdgeServer, closed_in, edge_server, masked, read_until

TEXT, PING, CONTINUED = 1, 9, 0
MIB = 2**20
DELAY_S = 2.0
"""Alone on a machine it is 0.02 s."""


@pytest.fixture(scope="module")
def server() -> Iterator[EdgeServer]:
    with edge_server() as running:
        yield running


@pytest.fixture(scope="module")
def eager() -> Iterator[EdgeServer]:
    """Takes many frames, holds few, and gives up early on who does not read."""
    settings = {
        "live_ping_s": 3.0,
        "live_max_frames_per_s": 100_000,
        "live_max_message_bytes": 2**16,
        "live_max_waiting_bytes": 4 * MIB,
    }
    with edge_server(settings=settings, grace_s=0.5, send_buffer=16_384) as running:
        yield running


@contextlib.contextmanager
def sending(server: EdgeServer, path: bytes, data: bytes, **options: int) -> Iterator[None]:
    """Sends to a new socket for the duration of the block."""
    sock = server.upgrade(path, **options)

    def send() -> None:
        with contextlib.suppress(OSError):
            sock.sendall(data)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # what is not sent by now is not: `close` would leave the thread sending
        thread.join()
        sock.close()


@pytest.mark.parametrize(
    "burst",
    [
        masked(PING) * (4 * MIB // 6),
        masked(TEXT, fin=False) + masked(CONTINUED, fin=False) * (4 * MIB // 6),
        masked(TEXT) * (4 * MIB // 6),
    ],
    ids=["pings", "empty fragments", "empty messages"],
)
def test_a_burst_of_frames_delays_nobody(server: EdgeServer, burst: bytes) -> None:
    before = server.rss
    with sending(server, b"count", burst):
        assert server.slowest_answer(1.0) < DELAY_S
    assert server.rss - before < 32 * MIB


def test_pings_of_who_reads_nothing_are_dropped_and_the_socket_is_closed(eager: EdgeServer) -> None:
    before = eager.rss
    sock = eager.upgrade(b"count", receive_buffer=4096)
    pings = masked(PING, b"p" * 125) * 100
    with pytest.raises(ConnectionError):  # noqa: PT012
        for _ in range(64 * MIB // len(pings)):
            sock.sendall(pings)
            assert eager.rss - before < 8 * MIB


def test_of_pings_while_nothing_is_read_the_last_is_answered(eager: EdgeServer) -> None:
    sock = eager.upgrade(b"count", receive_buffer=4096)
    numbers = 5_000  # more pongs than the kernel holds
    sock.sendall(b"".join(masked(PING, b"%125d" % number) for number in range(numbers)))
    time.sleep(1)  # until the server has read them all
    data = read_until(sock, b"%125d" % (numbers - 1))
    assert data.count(b"\x8a") < numbers


@pytest.mark.parametrize("message", [masked(TEXT, b"x" * 60_000), masked(TEXT)], ids=["large", "empty"])
def test_what_the_application_does_not_take_is_bounded(eager: EdgeServer, message: bytes) -> None:
    before = eager.rss
    sockets = [eager.upgrade(b"stuck", timeout_s=0.2) for _ in range(5)]
    data = message * (8 * MIB // len(message))
    for sock in sockets:
        with pytest.raises(TimeoutError):
            sock.sendall(data)
        sock.close()
    assert eager.rss - before < 16 * MIB


def test_what_waited_is_delivered(server: EdgeServer) -> None:
    sock = server.upgrade(b"busy")
    sock.sendall(masked(TEXT, b"x" * 60_000) * 150 + masked(PING, b"here"))
    sock.sendall(masked(TEXT, b"end"))
    data = read_until(sock, b"\x88\x02\x03\xe8")  # 1000
    assert b"\x8a\x04here" in data


def test_control_frames_are_read_while_messages_wait(server: EdgeServer) -> None:
    sock = server.upgrade(b"busy", timeout_s=0.5)  # takes nothing for a second
    sock.sendall(masked(TEXT, b"x" * 60_000) * 10 + masked(PING, b"here"))
    assert sock.recv(100) == b"\x8a\x04here"


def test_fragments_and_control_frames_between_them(server: EdgeServer) -> None:
    sock = server.upgrade(b"count")
    parts = [masked(TEXT, b"a" * 3_000, fin=False), masked(PING, b"1"), masked(CONTINUED, b"", fin=False)]
    parts += [masked(CONTINUED, b"b", fin=False)] * 500 + [masked(CONTINUED, b"c" * 40_000)]
    for byte in b"".join(parts[:3]):
        sock.sendall(bytes([byte]))
    sock.sendall(b"".join(parts[3:]) + masked(TEXT, b"next"))
    data = read_until(sock, b"\x81\x014")
    assert data == b"\x8a\x011" + b"\x81\x0543500" + b"\x81\x014"


def test_messages_that_come_too_fast_wait(server: EdgeServer) -> None:
    sock = server.upgrade(b"count")
    began = time.monotonic()
    sock.sendall(masked(TEXT, b"12") * 2_500)
    data = b""
    while len(data) < 3 * 2_500:
        data += sock.recv(65_536)
    assert data == b"\x81\x012" * 2_500
    assert 1.2 < time.monotonic() - began < 15


def test_what_arrived_before_the_end_of_the_connection_is_delivered(server: EdgeServer) -> None:
    sock = server.upgrade(b"count")
    sock.sendall(masked(TEXT, b"123") * 100 + masked(8, b"\x03\xe8"))
    _, data = closed_in(sock)
    assert data.endswith(b"\x88\x02\x03\xe8")


def test_a_handshake_with_a_header_that_is_too_long_is_answered(server: EdgeServer) -> None:
    sock = server.connect(UPGRADE.removesuffix(b"\r\n") % b"count" + b"X-A: " + b"a" * 10_000 + b"\r\n\r\n")
    took, data = closed_in(sock)
    assert data.startswith(b"HTTP/1.1 431 ")
    assert took < 5


def test_many_sockets_at_once_delay_nobody(server: EdgeServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(sending(server, b"count", masked(PING) * (MIB // 6)))
        assert server.slowest_answer(1.0) < DELAY_S
