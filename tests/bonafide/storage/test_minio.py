"""MinIO that is slow, stopped, cut off, or inconsistent: bounded time, the right error, useful retries only."""

import asyncio
import io
import os
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from bonafide.errors import BonafideError, Forbidden, InvalidRequest, ObjectNotFound, TooLarge, Unavailable
from bonafide.media_digest import digest_of
from bonafide.storage.minio import MinioStore
from bonafide.storage.store import ObjectStat
from tests.proxy import answering, proxy_to
from tests.servers import ACCESS_KEY, SECRET_KEY, Server, minio_client, minio_settings, start_minio

CONTENT = os.urandom(3_000_000)


def filled(server: Server, content: bytes = CONTENT) -> str:
    """A new bucket that holds `content` as `a.wav`."""
    bucket = f"calls-{uuid.uuid4().hex}"
    client = minio_client(server)
    client.make_bucket(bucket)
    client.put_object(bucket, "a.wav", io.BytesIO(content), len(content))
    return bucket


@asynccontextmanager
async def opened(address: str, **other: object) -> AsyncIterator[MinioStore]:
    store = MinioStore(minio_settings(address, **other))
    try:
        yield store
    finally:
        await store.close()


async def until(condition: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def s3_error(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return http(status, body, "Content-Type: application/xml", f"Content-Length: {len(body)}")


REGION = http("200 OK", b"<LocationConstraint/>", "Content-Type: application/xml", "Content-Length: 21")
FACTS = ('ETag: "abc"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")
OBJECT_HEAD = http("200 OK", b"", *FACTS, "Content-Length: 5")
OBJECT = http("200 OK", b"hello", *FACTS, "Content-Length: 5")


async def attempts_of(answers: list[bytes], call: Callable[[MinioStore], Awaitable[object]]) -> int:
    """How many requests follow the one for the region; raises what the call raises."""
    async with answering([REGION, *answers]) as liar, opened(liar.address, storage_retries=2) as store:
        try:
            await call(store)
        except BonafideError as error:
            error.add_note(str(liar.connections - 1))
            raise
        return liar.connections - 1


def stat_it(store: MinioStore) -> Awaitable[ObjectStat]:
    return store.stat("calls", "a.wav")


async def fetch_it(store: MinioStore) -> bytearray:
    return await store.read("calls", "a.wav", await store.stat("calls", "a.wav"))


def fetch_at_once(store: MinioStore) -> Awaitable[tuple[ObjectStat, bytearray]]:
    return store.fetch("calls", "a.wav")


async def test_the_endpoint_may_name_its_scheme(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with opened(f"http://{minio_server.address}") as store:
        assert (await store.stat(bucket, "a.wav")).size == len(CONTENT)


async def test_a_large_object_is_held_once(minio_server: Server) -> None:
    size = 64_000_000
    bucket = filled(minio_server, bytes(size))
    async with opened(minio_server.address) as store:
        stat = await store.stat(bucket, "a.wav")
        tracemalloc.start()
        try:
            content = await store.read(bucket, "a.wav", stat)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(content) == size
    assert peak < 1.3 * size


async def test_a_large_object_is_hashed_without_being_held(minio_server: Server) -> None:
    bucket = filled(minio_server, bytes(64_000_000))
    async with opened(minio_server.address) as store:
        stat = await store.stat(bucket, "a.wav")
        tracemalloc.start()
        try:
            digest = await store.digest(bucket, "a.wav", stat)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert digest == digest_of(bytes(64_000_000))
    assert peak < 5_000_000


async def test_connections_are_kept_and_used_again(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy, opened(proxy.address) as store:
        for _ in range(5):
            stat = await store.stat(bucket, "a.wav")
            assert await store.read(bucket, "a.wav", stat) == CONTENT
        assert proxy.connections == 1


async def test_an_object_with_an_encoding_comes_as_it_was_stored(minio_server: Server) -> None:
    bucket = filled(minio_server)
    metadata: dict[str, str | list[str] | tuple[str]] = {"Content-Encoding": "gzip"}
    minio_client(minio_server).put_object(bucket, "a.gz", io.BytesIO(b"not gzip"), 8, metadata=metadata)
    async with opened(minio_server.address) as store:
        assert await store.read(bucket, "a.gz", await store.stat(bucket, "a.gz")) == b"not gzip"


async def test_the_same_bytes_put_again_are_new_content(minio_server: Server) -> None:
    # The etag stays: it is the MD5, and that is no proof of the same content.
    bucket = filled(minio_server)
    async with opened(minio_server.address) as store:
        first = await store.stat(bucket, "a.wav")
        await asyncio.sleep(1.1)  # the Last-Modified header has seconds
        minio_client(minio_server).put_object(bucket, "a.wav", io.BytesIO(CONTENT), len(CONTENT))
        assert (await store.stat(bucket, "a.wav")).content_id != first.content_id


@pytest.mark.parametrize("cuts", [[0], [0, 0, 0], [100], [1500, 1_000_000], [2_999_000, 1_000]])
async def test_cut_connections_are_tried_again(minio_server: Server, cuts: list[int]) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy:
        # Learns the bucket's region; each call then is one request. Nothing is kept alive after it.
        async with opened(proxy.address, storage_retries=3) as store:
            stat = await store.stat(bucket, "a.wav")
        async with opened(proxy.address, storage_retries=3) as store:
            proxy.cut_after = list(cuts)
            assert await store.read(bucket, "a.wav", stat) == CONTENT
            assert proxy.cut_after == []


@pytest.mark.parametrize("cut", range(1, len(OBJECT_HEAD), 7))
async def test_headers_that_were_cut_are_not_taken_for_others(cut: int) -> None:
    # http.client takes the end of a connection for the end of the headers.
    assert await attempts_of([OBJECT_HEAD, OBJECT[:cut], OBJECT], fetch_it) == 3


async def test_a_connection_that_is_always_cut_is_given_up(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy, opened(proxy.address, storage_retries=2) as store:
        stat = await store.stat(bucket, "a.wav")
        store._http.clear()
        proxy.connections = 0
        proxy.cut_after = [1_000_000] * 100
        with pytest.raises(Unavailable, match="does not answer"):
            await store.read(bucket, "a.wav", stat)
        assert proxy.connections == 3


async def test_a_server_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    server = start_minio(tmp_path)
    bucket = filled(server)
    try:
        async with opened(server.address, storage_timeout_s=1.0, storage_retries=2) as store:
            stat = await store.stat(bucket, "a.wav")
            server.kill()
            began = time.monotonic()
            for call in (store.stat(bucket, "a.wav"), store.read(bucket, "a.wav", stat)):
                with pytest.raises(Unavailable):
                    await call
            assert time.monotonic() - began < 5
            server.start()
            assert await store.read(bucket, "a.wav", stat) == CONTENT
    finally:
        server.kill()


async def test_a_restart_is_survived_by_a_call_in_flight(tmp_path: Path) -> None:
    server = start_minio(tmp_path)
    bucket = filled(server)
    try:
        async with opened(server.address, storage_retries=6) as store:
            stat = await store.stat(bucket, "a.wav")
            server.kill()
            read = asyncio.create_task(store.read(bucket, "a.wav", stat))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start)
            assert await read == CONTENT
    finally:
        server.kill()


async def test_a_frozen_server_costs_bounded_time(tmp_path: Path) -> None:
    server = start_minio(tmp_path)
    bucket = filled(server)
    try:
        async with opened(server.address, storage_timeout_s=0.5, storage_retries=1) as store:
            stat = await store.stat(bucket, "a.wav")
            server.freeze()
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await store.read(bucket, "a.wav", stat)
            assert 1.0 <= time.monotonic() - began < 3
            server.thaw()
            assert await store.read(bucket, "a.wav", stat) == CONTENT
    finally:
        server.kill()


async def test_a_cancelled_download_stops_at_once(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy, opened(proxy.address) as store:
        stat = await store.stat(bucket, "a.wav")
        proxy.delay_s = 0.02  # the whole object would take 4 s
        read = asyncio.create_task(store.read(bucket, "a.wav", stat))
        before = proxy.sent
        await until(lambda: proxy.sent > before + 100_000, within_s=5)
        read.cancel()
        await asyncio.wait([read])
        assert read.cancelled()
        await until(lambda: proxy.open == 0, within_s=2)
        assert proxy.sent < len(CONTENT) / 2
        proxy.delay_s = 0
        assert await store.read(bucket, "a.wav", stat) == CONTENT


async def test_calls_cancelled_in_the_queue_never_run(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy, opened(proxy.address) as store:
        stat = await store.stat(bucket, "a.wav")
        proxy.delay_s = 0.05
        reads = [asyncio.create_task(store.read(bucket, "a.wav", stat)) for _ in range(100)]
        await until(lambda: proxy.open >= 16, within_s=5)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)
        await until(lambda: proxy.open == 0, within_s=2)
        assert proxy.connections <= 17


async def test_wrong_keys_are_our_fault_and_never_shown(minio_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    bucket = filled(minio_server)
    for keys in ({"minio_secret_key": "wrong-secret"}, {"minio_access_key": "wrong-access"}):
        async with opened(minio_server.address, **keys) as store:
            with pytest.raises(Unavailable, match="refuses this service") as caught:
                await store.stat(bucket, "a.wav")
        shown = repr(caught.value) + str(caught.value.__cause__) + caplog.text
        for secret in (SECRET_KEY, ACCESS_KEY, "wrong-secret", "wrong-access"):
            assert secret not in shown
    assert "credentials" in caplog.text


async def test_what_the_keys_may_not_read_is_forbidden(minio_server: Server) -> None:
    open_bucket, closed_bucket = filled(minio_server), filled(minio_server)
    admin = MinioAdmin(endpoint=minio_server.address, credentials=StaticProvider(ACCESS_KEY, SECRET_KEY), secure=False)
    name = uuid.uuid4().hex
    resources = [f"arn:aws:s3:::{open_bucket}", f"arn:aws:s3:::{open_bucket}/*"]
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetBucketLocation"], "Resource": resources}
    admin.user_add(name, "a-password-for-tests")
    admin.policy_add(name, policy={"Version": "2012-10-17", "Statement": [statement]})
    admin.attach_policy([name], name)
    keys = {"minio_access_key": name, "minio_secret_key": "a-password-for-tests"}
    async with opened(minio_server.address, **keys) as store:
        stat = await store.stat(open_bucket, "a.wav")
        assert await store.read(open_bucket, "a.wav", stat) == CONTENT
        for key in ("a.wav", "missing.wav"):
            with pytest.raises(Forbidden):
                await store.stat(closed_bucket, key)
            with pytest.raises(Forbidden):
                await store.read(closed_bucket, key, stat)


@pytest.mark.parametrize(
    "failure",
    [
        s3_error("503 Slow Down", "SlowDown"),
        s3_error("500 Internal", "InternalError"),
        s3_error("400 Bad Request", "RequestTimeout"),
        s3_error("429 Too Many Requests", "TooManyRequests"),
        http("502 Bad Gateway", b"<html>", "Content-Type: text/html", "Content-Length: 6"),
        http("503 Unavailable"),
        http("200 OK", b"he", *FACTS, "Content-Length: 5"),
        http("200 OK", b"he", *FACTS, "Content-Length: five"),
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_what_may_pass_is_tried_again(failure: bytes) -> None:
    assert await attempts_of([OBJECT_HEAD, failure, failure, OBJECT], fetch_it) == 4
    with pytest.raises(Unavailable, match="does not answer") as caught:
        await attempts_of([OBJECT_HEAD, failure], fetch_it)
    assert caught.value.__notes__ == ["4"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (s3_error("404 Not Found", "NoSuchKey"), ObjectNotFound),
        (s3_error("404 Not Found", "NoSuchBucket"), ObjectNotFound),
        (s3_error("403 Forbidden", "AccessDenied"), Forbidden),
        (s3_error("403 Forbidden", "SignatureDoesNotMatch"), Unavailable),
        (s3_error("400 Bad Request", "InvalidArgument"), InvalidRequest),
        (http("403 Forbidden", b"<html>", "Content-Type: text/html", "Content-Length: 6"), Forbidden),
        (http("307 Moved", b"", "Location: http://169.254.169.254/", "Content-Length: 0"), InvalidRequest),
    ],
)
async def test_what_will_not_pass_is_asked_once(answer: bytes, error: type[BonafideError]) -> None:
    with pytest.raises(error) as caught:
        await attempts_of([OBJECT_HEAD, answer], fetch_it)
    assert caught.value.__notes__ == ["2"]


async def test_a_body_longer_than_its_length_is_not_taken_in() -> None:
    # Chunks win over the length for the HTTP client, and these never end.
    begin = http("200 OK", b"", *FACTS, "Content-Length: 5", "Transfer-Encoding: chunked")
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    async with answering([REGION, OBJECT_HEAD, begin], chunk) as liar, opened(liar.address) as store:
        with pytest.raises(Unavailable, match="changed"):
            await fetch_it(store)
        await until(lambda: liar.open == 0, within_s=1)
        assert liar.sent < 10_000_000  # what fits into the sockets' buffers


async def test_a_whole_object_takes_one_request_and_never_more_than_its_length() -> None:
    assert await attempts_of([OBJECT], fetch_at_once) == 1
    # Chunks win over the length for the HTTP client, and these never end.
    begin = http("200 OK", b"", *FACTS, "Content-Length: 5", "Transfer-Encoding: chunked")
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    async with answering([REGION, begin], chunk) as liar, opened(liar.address) as store:
        with pytest.raises(Unavailable, match="changed"):
            await fetch_at_once(store)
        await until(lambda: liar.open == 0, within_s=1)


async def test_a_whole_object_over_the_limit_is_asked_for_once_and_not_read() -> None:
    huge = http("200 OK", b"", *FACTS, f"Content-Length: {10**15}")
    async with answering([REGION, huge], bytes(0x4000)) as liar, opened(liar.address) as store:
        with pytest.raises(TooLarge):
            await fetch_at_once(store)
        await until(lambda: liar.open == 0, within_s=1)
        assert liar.connections == 2


@pytest.mark.parametrize("cut", range(1, len(OBJECT), 7))
async def test_a_whole_object_whose_answer_was_cut_is_asked_for_again(cut: int) -> None:
    # Nothing is known of it before: a cut number in the headers is a length, and a cut date another one.
    assert await attempts_of([OBJECT[:cut], OBJECT], fetch_at_once) == 2


async def test_another_length_than_before_is_not_taken_in() -> None:
    huge = http("200 OK", b"hello", *FACTS, f"Content-Length: {10**15}")
    with pytest.raises(Unavailable, match="changed"):
        await attempts_of([OBJECT_HEAD, huge], fetch_it)


async def test_a_negative_length_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        await attempts_of([http("200 OK", b"", *FACTS, "Content-Length: -5")], stat_it)


async def test_a_trickle_of_bytes_does_not_hold_a_cancelled_call(minio_server: Server) -> None:
    bucket = filled(minio_server)
    async with proxy_to(minio_server.port) as proxy, opened(proxy.address) as store:
        stat = await store.stat(bucket, "a.wav")
        proxy.delay_s = 0.3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.7):
                await store.read(bucket, "a.wav", stat)
        await until(lambda: proxy.open == 0, within_s=2)
