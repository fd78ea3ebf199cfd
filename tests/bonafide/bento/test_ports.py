"""Ports that are kept for processes that listen on them together."""

import socket

import pytest

from bonafide.bento.ports import reserve


def listening(port: int, *, together: bool) -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(together))
        made.bind(("127.0.0.1", port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def free() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_processes_may_share_what_is_kept_and_get_its_connections() -> None:
    port = free()
    (kept,) = reserve("127.0.0.1", (port,))
    with kept, listening(port, together=True) as first, listening(port, together=True) as second:
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
        taken = 0
        for each in (first, second):
            each.setblocking(False)
            try:
                while True:
                    each.accept()[0].close()
                    taken += 1
            except BlockingIOError:
                pass
        assert taken == 30


def test_what_is_kept_or_taken_is_refused_to_another_service() -> None:
    port = free()
    (kept,) = reserve("127.0.0.1", (port,))
    with kept:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            reserve("127.0.0.1", (port,))
        with pytest.raises(OSError, match="in use"):
            listening(port, together=False)
    with listening(port, together=True), pytest.raises(OSError, match="cannot listen on"):
        reserve("127.0.0.1", (port,))


def test_one_that_is_taken_gives_the_others_back() -> None:
    one, other = free(), free()
    with listening(other, together=False), pytest.raises(OSError, match=str(other)):
        reserve("127.0.0.1", (one, other))
    listening(one, together=False).close()
