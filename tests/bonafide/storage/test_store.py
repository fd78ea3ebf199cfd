"""The contract of every object store, checked on a folder and a real MinIO."""

import asyncio
import hashlib
import io
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bonafide.errors import BonafideError, Forbidden, InvalidRequest, ObjectNotFound, TooLarge, Unavailable
from bonafide.media_digest import MediaDigest
from bonafide.settings import Settings
from bonafide.storage import open_store
from bonafide.storage.store import ObjectStat, ObjectStore, check_location
from tests.servers import ROOT, minio_client, minio_settings

LIMIT = 6_000_000


@dataclass(frozen=True)
class Shelf:
    """A store under test beside a way to put things there."""

    store: ObjectStore
    bucket: str
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    restricted: Callable[[tuple[str, ...]], ObjectStore]


@cache
def of_minio(address: str) -> Settings:
    """Made once: it takes longer than most tests here."""
    return minio_settings(address, max_audio_bytes=LIMIT)


@cache
def of_a_folder() -> Settings:
    """Likewise, but for the folder."""
    return Settings.model_validate({"objects_dir": ROOT, "max_audio_bytes": LIMIT})


@pytest.fixture(params=["folder", "minio"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    bucket = f"calls-{uuid.uuid4().hex}"
    if request.param == "minio":
        server = request.getfixturevalue("minio_server")
        client = minio_client(server)
        client.make_bucket(bucket)

        def configured(**other: object) -> Settings:
            return of_minio(server.address).model_copy(update=other)

        def put(key: str, content: bytes) -> None:
            client.put_object(bucket, key, io.BytesIO(content), len(content))

        def remove(key: str) -> None:
            client.remove_object(bucket, key)
    else:
        (tmp_path / bucket).mkdir()

        def configured(**other: object) -> Settings:
            return of_a_folder().model_copy(update={"objects_dir": tmp_path, **other})

        def put(key: str, content: bytes) -> None:
            path = tmp_path / bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        def remove(key: str) -> None:
            path = tmp_path / bucket / key
            path.unlink()
            while path.parent != tmp_path / bucket:  # S3 has no empty folders
                path = path.parent
                path.rmdir()

    extra: list[ObjectStore] = []

    def restricted(buckets: tuple[str, ...]) -> ObjectStore:
        extra.append(open_store(configured(allowed_buckets=buckets)))
        return extra[-1]

    store = open_store(configured())
    yield Shelf(store, bucket, put, remove, restricted)
    for opened in [store, *extra]:
        await opened.close()


async def fetch(store: ObjectStore, bucket: str, key: str) -> bytearray:
    return await store.read(bucket, key, await store.stat(bucket, key))


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 5_000_003, LIMIT])
async def test_an_object_comes_back_as_it_was_stored(shelf: Shelf, size: int) -> None:
    content = os.urandom(size)
    shelf.put("2024/05/a call.wav", content)
    stat = await shelf.store.stat(shelf.bucket, "2024/05/a call.wav")
    assert stat.size == size
    assert await shelf.store.read(shelf.bucket, "2024/05/a call.wav", stat) == content
    assert await shelf.store.fetch(shelf.bucket, "2024/05/a call.wav") == (stat, bytearray(content))
    digest = await shelf.store.digest(shelf.bucket, "2024/05/a call.wav", stat)
    assert digest == MediaDigest(hashlib.sha256(content).hexdigest(), size)


async def test_the_content_id_stays_with_the_content_and_leaves_with_it(shelf: Shelf) -> None:
    shelf.put("a.wav", b"one")
    first = await shelf.store.stat(shelf.bucket, "a.wav")
    assert await shelf.store.stat(shelf.bucket, "a.wav") == first
    assert first.content_id.isascii()
    assert first.content_id.isprintable()
    await asyncio.sleep(0.02)  # more than a tick of the file system's clock
    shelf.put("a.wav", b"two")
    assert (await shelf.store.stat(shelf.bucket, "a.wav")).content_id != first.content_id


@pytest.mark.parametrize("key", ["missing.wav", "folder", "folder/a.wav/b.wav", "folder/missing/b.wav", "%2e%2e/x"])
async def test_what_is_not_there_is_not_found(shelf: Shelf, key: str) -> None:
    shelf.put("folder/a.wav", b"one")
    with pytest.raises(ObjectNotFound):
        await shelf.store.stat(shelf.bucket, key)
    with pytest.raises(ObjectNotFound):
        await shelf.store.read(shelf.bucket, key, ObjectStat("x", 3))
    with pytest.raises(ObjectNotFound):
        await shelf.store.fetch(shelf.bucket, key)


async def test_a_missing_bucket_is_not_found(shelf: Shelf) -> None:
    with pytest.raises(ObjectNotFound):
        await shelf.store.stat("no-such-bucket", "a.wav")
    with pytest.raises(ObjectNotFound):
        await shelf.store.fetch("no-such-bucket", "a.wav")


BAD_BUCKETS = """,ab,Upper,under_score,..,a/b,a..b,.abc,abc.,-abc,abc-,a.-b,a-.b,192.168.0.1,аbc,a b,a%2fb"""
BAD_KEYS = """,/,/etc/passwd,a/,a//b,.,..,../a,a/../b,a/./b,a/.."""


def test_a_bucket_name_of_megabytes_is_refused_at_once() -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest):
        check_location("-" * 32_000_000, "a", ())
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize("bucket", [*BAD_BUCKETS.split(","), "a" * 64, "abc\n", "a\0b", "\ud800bc"])
async def test_a_bucket_name_that_none_can_have_is_refused(shelf: Shelf, bucket: str) -> None:
    with pytest.raises(InvalidRequest):
        await shelf.store.stat(bucket, "a.wav")
    with pytest.raises(InvalidRequest):
        await shelf.store.read(bucket, "a.wav", ObjectStat("x", 3))
    with pytest.raises(InvalidRequest):
        await shelf.store.fetch(bucket, "a.wav")


@pytest.mark.parametrize(
    "key",
    [*BAD_KEYS.split(","), "a\0b", "a\nb", "a\x7fb", "\ud800", "k/" * 512 + "k", "ü" * 513, "n" * 256 + "/a.wav"],
)
async def test_a_key_that_cannot_be_read_safely_is_refused(shelf: Shelf, key: str) -> None:
    with pytest.raises(InvalidRequest):
        await shelf.store.stat(shelf.bucket, key)
    with pytest.raises(InvalidRequest):
        await shelf.store.fetch(shelf.bucket, key)


async def test_only_allowed_buckets_are_read_and_others_are_not_even_looked_for(shelf: Shelf) -> None:
    shelf.put("a.wav", b"one")
    store = shelf.restricted(("other-bucket", "third-bucket"))
    for bucket in (shelf.bucket, "no-such-bucket"):
        with pytest.raises(Forbidden):
            await store.stat(bucket, "a.wav")
        with pytest.raises(Forbidden):
            await store.read(bucket, "a.wav", ObjectStat("x", 3))
        with pytest.raises(Forbidden):
            await store.fetch(bucket, "a.wav")
    assert await fetch(shelf.restricted((shelf.bucket,)), shelf.bucket, "a.wav") == b"one"


async def test_an_object_over_the_limit_is_refused_before_it_is_read(shelf: Shelf) -> None:
    shelf.put("long.wav", bytes(LIMIT + 1))
    with pytest.raises(TooLarge, match=str(LIMIT)):
        await shelf.store.stat(shelf.bucket, "long.wav")
    with pytest.raises(TooLarge):
        await shelf.store.read(shelf.bucket, "long.wav", ObjectStat("x", LIMIT + 1))
    with pytest.raises(TooLarge, match=str(LIMIT)):
        await shelf.store.fetch(shelf.bucket, "long.wav")
    shelf.put("short.wav", b"one")
    assert (await shelf.store.fetch(shelf.bucket, "short.wav"))[1] == b"one"


@pytest.mark.parametrize("second", [b"two", b"much longer than before", b""])
async def test_content_that_changed_since_is_not_passed_off_as_the_old(shelf: Shelf, second: bytes) -> None:
    shelf.put("a.wav", b"one")
    stat = await shelf.store.stat(shelf.bucket, "a.wav")
    await asyncio.sleep(0.02)
    shelf.put("a.wav", second)
    with pytest.raises(Unavailable, match="changed while it was read, try again"):
        await shelf.store.read(shelf.bucket, "a.wav", stat)
    with pytest.raises(Unavailable, match="changed while it was read, try again"):
        await shelf.store.digest(shelf.bucket, "a.wav", stat)
    assert await fetch(shelf.store, shelf.bucket, "a.wav") == second
    stat = await shelf.store.stat(shelf.bucket, "a.wav")
    assert await shelf.store.fetch(shelf.bucket, "a.wav") == (stat, bytearray(second))


async def test_an_object_removed_since_is_not_found(shelf: Shelf) -> None:
    shelf.put("a.wav", b"one")
    stat = await shelf.store.stat(shelf.bucket, "a.wav")
    shelf.remove("a.wav")
    with pytest.raises(ObjectNotFound):
        await shelf.store.read(shelf.bucket, "a.wav", stat)
    with pytest.raises(ObjectNotFound):
        await shelf.store.fetch(shelf.bucket, "a.wav")


async def test_many_objects_are_read_at_one_time(shelf: Shelf) -> None:
    contents = {f"{number}.wav": os.urandom(100_000 + number) for number in range(40)}
    for key, content in contents.items():
        shelf.put(key, content)
    read = await asyncio.gather(*(fetch(shelf.store, shelf.bucket, key) for key in contents))
    assert read == list(contents.values())


async def test_cancelled_calls_leave_a_store_that_works(shelf: Shelf) -> None:
    content = os.urandom(LIMIT)
    shelf.put("a.wav", content)
    stat = await shelf.store.stat(shelf.bucket, "a.wav")
    for delay_ms in range(20):
        read = asyncio.create_task(shelf.store.read(shelf.bucket, "a.wav", stat))
        await asyncio.sleep(delay_ms / 5000)
        read.cancel()
        await asyncio.wait([read])
    assert await shelf.store.read(shelf.bucket, "a.wav", stat) == content


async def test_a_closed_store_lets_its_calls_go(shelf: Shelf) -> None:
    shelf.put("a.wav", bytes(LIMIT))
    store = shelf.restricted(())
    stat = await store.stat(shelf.bucket, "a.wav")
    reads = [asyncio.create_task(store.read(shelf.bucket, "a.wav", stat)) for _ in range(40)]
    await asyncio.sleep(0)
    await store.close()
    done, pending = await asyncio.wait(reads, timeout=10)
    assert not pending
    assert {type(task.exception()) for task in done} <= {type(None), Unavailable}
    with pytest.raises(Unavailable, match="shutting down"):
        await store.read(shelf.bucket, "a.wav", stat)


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(key=keys)
@example(key="a+b&c=d?e#f%20g.wav")
@example(key="тест/録音/😀.wav")
@example(key="back\\slash\\..\\a.wav")
@example(key="back\\slash..\\a.wav")
@example(key="a/ .. /b")
@example(key=" leading and trailing ")
@example(key="..a/b..")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_key_is_accepted_can_be_read_and_no_other_can(shelf: Shelf, key: str) -> None:
    try:
        check_location(shelf.bucket, key, ())
    except InvalidRequest:
        with pytest.raises(InvalidRequest):
            await shelf.store.stat(shelf.bucket, key)
        return
    shelf.put(key, key.encode())
    try:
        assert await fetch(shelf.store, shelf.bucket, key) == key.encode()
    finally:
        shelf.remove(key)


@given(bucket=st.text(max_size=70), key=st.text(max_size=1100))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_wild_names_meet_only_the_errors_of_the_table(shelf: Shelf, bucket: str, key: str) -> None:
    with pytest.raises(BonafideError) as caught:
        await shelf.store.stat(bucket, key)
    assert isinstance(caught.value, InvalidRequest | ObjectNotFound | Forbidden)  # MinIO keeps "minio"


async def all_keys(store: ObjectStore, bucket: str, prefix: str, count: int) -> list[str]:
    found: list[str] = []
    while page := await store.keys(bucket, prefix, found[-1] if found else "", count):
        assert len(page) <= count
        found += page
    return found


@pytest.mark.parametrize("count", [1, 2, 1000])
async def test_keys_are_listed_by_their_beginning_page_by_page(shelf: Shelf, count: int) -> None:
    keys = ["2024/a.wav", "2024/b/c.wav", "2024-x.wav", "2025/a.wav", "z é.wav"]
    for key in keys:
        shelf.put(key, b"one")
    assert await all_keys(shelf.store, shelf.bucket, "", count) == sorted(keys)
    assert await all_keys(shelf.store, shelf.bucket, "2024", count) == sorted(keys[:3])
    assert await all_keys(shelf.store, shelf.bucket, "2024/", count) == ["2024/a.wav", "2024/b/c.wav"]
    assert await all_keys(shelf.store, shelf.bucket, "2024/b", count) == ["2024/b/c.wav"]
    assert await all_keys(shelf.store, shelf.bucket, "2023/", count) == []


@pytest.mark.parametrize(
    ("bucket", "prefix", "error"),
    [
        ("no-such-bucket", "", ObjectNotFound),
        ("no-such-bucket", "a/", ObjectNotFound),
        ("..", "", InvalidRequest),
        (None, "../", InvalidRequest),
        (None, "a/../b", InvalidRequest),
        (None, "/", InvalidRequest),
        (None, "a\n", InvalidRequest),
    ],
)
async def test_listing_refuses_as_reading_does(
    shelf: Shelf, bucket: str | None, prefix: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await shelf.store.keys(bucket or shelf.bucket, prefix, "", 10)


async def test_only_allowed_buckets_are_listed(shelf: Shelf) -> None:
    shelf.put("a.wav", b"one")
    with pytest.raises(Forbidden):
        await shelf.restricted(("other-bucket",)).keys(shelf.bucket, "", "", 10)
