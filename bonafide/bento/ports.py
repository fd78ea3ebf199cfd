"""Ports beside BentoML's that several processes of the service listen on together.

Each process binds them with SO_REUSEPORT, so a second service on the same port would start too, and get a part of the
connections. The supervisor therefore binds them before, which fails if they are taken, and keeps them.
"""

import socket

from bonafide.addresses import join_address


def reserve(host: str, ports: tuple[int, ...]) -> list[socket.socket]:
    """Sockets that are bound and never listen: only other sockets with SO_REUSEPORT can be bound beside them.

    Raises:
        OSError: a port is taken, or the address is not ours; the message names it.
    """
    kept: list[socket.socket] = []
    try:
        for port in ports:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            try:
                with socket.socket(family, kind, protocol) as alone:
                    # Old connections may linger; a socket that listens is refused nevertheless.
                    alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    alone.bind(address)
                together = socket.socket(family, kind, protocol)
                kept.append(together)
                together.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                together.bind(address)
            except OSError as error:
                raise OSError(error.errno, f"cannot listen on {join_address(host, port)}: {error.strerror}") from error
    except OSError:
        for each in kept:
            each.close()
        raise
    return kept
