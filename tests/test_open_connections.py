import asyncio
import gc
import socket

from tests.open_connections import taken


async def both_ends(*, closed: bool) -> None:
    """Opens a connection and leaves it open, or closes it without a further step of the event loop."""

    def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)

    ends: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        ends.append(writer)
        while len(ends) < 2:
            await asyncio.sleep(0.01)
    for end in ends if closed else []:
        end.close()


def test_connections_that_are_open_at_the_end_of_their_loop_are_told_and_closed() -> None:
    asyncio.run(both_ends(closed=False))
    assert len(taken()) == 2
    gc.collect()  # would tell of a socket, which is an error


def test_a_connection_that_is_being_closed_has_a_step_to_do_so() -> None:
    asyncio.run(both_ends(closed=True))
    assert taken() == []


def test_a_closed_connection_is_ended_with_what_it_could_not_send() -> None:
    asyncio.run(closed_with_much_to_send())
    assert taken() == []
    gc.collect()


async def closed_with_much_to_send() -> None:
    """Closes a connection whose other end reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.getsockname())
        writer.write(bytes(32 * 1024 * 1024))
        writer.close()
        await asyncio.sleep(0)
