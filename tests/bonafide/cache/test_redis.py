"""What a URL of Redis says reaches a real Valkey: user, password, database, unix socket, TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bonafide.addresses import RedisServer, parse_redis
from bonafide.cache.key_value import StoreFailed
from bonafide.cache.redis import RedisKeyValue
from tests.certificates import Authority
from tests.servers import Server, start_valkey

SOCKET = "valkey.sock"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("valkey")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """Asks for a password; knows the user `me` besides the default one."""
    options = ["--unixsocket", str(folder / SOCKET), "--requirepass", "p@ss/w#rd"]
    started = start_valkey(folder, *options, "--user", "me", "on", ">mine", "~*", "+@all")
    yield started
    started.kill()


async def round_trip(server: RedisServer) -> bytes | None:
    store = RedisKeyValue(server, timeout_s=5.0, ttl_s=60)
    try:
        await store.put_many([("key", b"value")])
        return (await store.get_many(["key"]))[0]
    finally:
        await store.close()


async def test_password_user_and_database(server: Server) -> None:
    assert await round_trip(parse_redis(f"redis://:p%40ss%2Fw%23rd@{server.address}/0")) == b"value"
    assert await round_trip(parse_redis(f"redis://me:mine@{server.address}/3")) == b"value"
    async with Redis(port=server.port, username="me", password="mine", db=3) as redis:
        assert await redis.get("key") == b"value"
    async with Redis(port=server.port, username="me", password="mine", db=2) as redis:
        assert await redis.get("key") is None


async def test_a_wrong_password_is_a_failure_that_does_not_show_it(server: Server) -> None:
    with pytest.raises(StoreFailed) as failed:
        await round_trip(parse_redis(f"redis://me:hunter2@{server.address}"))
    assert "hunter2" not in str(failed.value)


async def test_a_unix_socket(server: Server, folder: Path) -> None:
    assert await round_trip(parse_redis(f"unix://me:mine@{folder}/{SOCKET}?db=1")) == b"value"


async def test_tls_and_only_with_a_certificate_that_is_known(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate = authority.sign("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    async with encrypted(server, context) as port:
        with pytest.raises(StoreFailed):
            await round_trip(parse_redis(f"rediss://me:mine@127.0.0.1:{port}"))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        assert await round_trip(parse_redis(f"rediss://me:mine@127.0.0.1:{port}")) == b"value"
        with pytest.raises(StoreFailed):  # a name that the certificate does not have
            await round_trip(parse_redis(f"rediss://me:mine@127.0.0.2:{port}"))


@asynccontextmanager
async def encrypted(server: Server, context: ssl.SSLContext) -> AsyncIterator[int]:
    """TLS before the server, on the port given: the bundled Valkey is built without it."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer), return_exceptions=True)
        finally:
            for each in (writer, behind_writer):
                each.transport.abort()

    listening = await asyncio.start_server(connected, "0.0.0.0", 0, ssl=context)
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])
