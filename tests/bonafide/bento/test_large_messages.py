"""A message over the limit, byte by byte: it is never held, and what comes after it is read."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.uri import parse_uri

from bonafide.bento.large_messages import TOO_LARGE, SkippingProtocol

LIMIT = 1_000


def connected() -> tuple[ClientProtocol, SkippingProtocol]:
    """Both sides after the handshake."""
    client, server = ClientProtocol(parse_uri("ws://localhost/")), SkippingProtocol(max_size=LIMIT)
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    return client, server


@pytest.mark.parametrize("piece", [1, 7, 4_096])
def test_it_is_skipped_while_it_arrives(piece: int) -> None:
    client, server = connected()
    client.send_text(b"before")
    client.send_binary(bytes(20_000))
    client.send_ping(b"p")
    client.send_text(b"a" * LIMIT)
    data = b"".join(client.data_to_send())
    events: list[Frame] = []
    for start in range(0, len(data), piece):
        server.receive_data(data[start : start + piece])
        events += server.events_received()  # type: ignore[arg-type]
        assert len(server.reader.buffer) <= LIMIT + 14 + piece
    assert server.parser_exc is None
    assert [(event.opcode, bytes(event.data)) for event in events] == [
        (Opcode.TEXT, b"before"),
        (Opcode.TEXT, TOO_LARGE.encode()),
        (Opcode.PING, b"p"),
        (Opcode.TEXT, b"a" * LIMIT),
    ]


def test_a_connection_that_ends_within_it_is_cut_off() -> None:
    client, server = connected()
    client.send_binary(bytes(20_000))
    server.receive_data(b"".join(client.data_to_send())[:-1])
    server.receive_eof()
    assert isinstance(server.parser_exc, EOFError)


@pytest.mark.parametrize("sizes", [(600, 600), (1_500, 1), (1, 1_500)])
def test_fragments_are_bounded_together(sizes: tuple[int, int]) -> None:
    client, server = connected()
    client.send_text(bytes(sizes[0]), fin=False)
    client.send_continuation(bytes(sizes[1]), fin=True)
    server.receive_data(b"".join(client.data_to_send()))
    assert server.close_sent is not None
    assert server.close_sent.code == CloseCode.MESSAGE_TOO_BIG
