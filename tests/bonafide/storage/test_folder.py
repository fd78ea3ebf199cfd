"""Nothing outside a bucket's folder can be read, whatever it contains and whatever changes meanwhile."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bonafide.errors import Forbidden, ObjectNotFound, Unavailable
from bonafide.settings import Settings
from bonafide.storage import folder
from bonafide.storage.folder import FolderStore, described

SECRET = b"the content of a file outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.wav").write_bytes(SECRET)
    (tmp_path / "objects" / "calls" / "day").mkdir(parents=True)
    (tmp_path / "objects" / "calls" / "day" / "a.wav").write_bytes(b"one")
    (tmp_path / "objects" / "private").mkdir()
    (tmp_path / "objects" / "private" / "secret.wav").write_bytes(SECRET)
    return tmp_path / "objects"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[FolderStore]:
    opened = FolderStore(Settings(objects_dir=root))
    yield opened
    await opened.close()


async def fetch(store: FolderStore, bucket: str, key: str) -> bytearray:
    return await store.read(bucket, key, await store.stat(bucket, key))


def test_a_scan_knows_a_file_again_when_its_file_system_was_mounted_anew(root: Path) -> None:
    """Of NFS or an overlay the number of the device is another one then; times and inode stay."""
    status = (root / "calls" / "day" / "a.wav").stat()
    again = with_fields(status, st_dev=status.st_dev + 1)
    assert described(again).etag == described(status).etag
    assert described(again).content_id != described(status).content_id, "another file system may have all the same"
    for changed in ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"):
        other = with_fields(status, **{changed: getattr(status, changed) + 1})
        assert described(other).etag != described(status).etag


def with_fields(status: os.stat_result, **fields: int) -> os.stat_result:
    had = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    return cast(os.stat_result, SimpleNamespace(**{**had, **fields}))


@pytest.mark.parametrize(
    ("link", "target", "key"),
    [
        ("secret.wav", "../../outside/secret.wav", "secret.wav"),
        ("secret.wav", "../private/secret.wav", "secret.wav"),
        ("out", "../../outside", "out/secret.wav"),
        ("day/out", "../../../outside", "day/out/secret.wav"),
        ("password", "/etc/passwd", "password"),
        ("zero", "/dev/zero", "zero"),
        ("self", "/proc/self/environ", "self"),
        ("through", "day/../../private/secret.wav", "through"),
        ("loop", "loop", "loop"),
        ("dangling", "nowhere", "dangling"),
    ],
)
async def test_a_link_that_leads_out_or_nowhere_is_not_found(
    root: Path, store: FolderStore, link: str, target: str, key: str
) -> None:
    (root / "calls" / link).symlink_to(target)
    with pytest.raises(ObjectNotFound, match="come from a folder, as MINIO_ENDPOINT is not set"):
        await store.stat("calls", key)


async def test_a_link_that_stays_in_its_bucket_is_followed(root: Path, store: FolderStore) -> None:
    (root / "calls" / "latest").symlink_to("day")
    (root / "calls" / "b.wav").symlink_to("latest/a.wav")
    assert await fetch(store, "calls", "latest/a.wav") == b"one"
    assert await fetch(store, "calls", "b.wav") == b"one"


@pytest.mark.parametrize("target", ["../outside", "private", "/etc"])
async def test_a_bucket_that_is_a_link_is_not_found(root: Path, store: FolderStore, target: str) -> None:
    (root / "linked").symlink_to(target)
    for key in ("secret.wav", "passwd"):
        with pytest.raises(ObjectNotFound):
            await store.stat("linked", key)


async def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(root)
    store = FolderStore(Settings(objects_dir=tmp_path / "elsewhere"))
    assert await fetch(store, "calls", "day/a.wav") == b"one"
    await store.close()


async def test_what_is_no_regular_file_is_not_found_and_does_not_block(root: Path, store: FolderStore) -> None:
    os.mkfifo(root / "calls" / "pipe")
    os.mknod(root / "calls" / "socket", stat.S_IFSOCK | 0o600)
    async with asyncio.timeout(5):
        for key in ("pipe", "socket", "day"):
            with pytest.raises(ObjectNotFound):
                await store.stat("calls", key)


async def test_a_device_is_not_found(root: Path, store: FolderStore) -> None:
    try:
        os.mknod(root / "calls" / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")
    with pytest.raises(ObjectNotFound):
        await store.stat("calls", "zero")


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_link_that_appears_meanwhile_leads_nowhere(
    root: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = root / "calls" / "day" / "secret.wav"
    path.write_bytes(b"harmless")
    assert await fetch(store, "calls", "day/secret.wav") == b"harmless"
    replaced = path if what == "file" else path.parent
    resolve = Path.resolve

    def resolve_and_replace(self: Path, strict: bool = False) -> Path:
        found = resolve(self, strict)
        if self == path:  # what an attacker with good timing would do
            replaced.rename(root / "away")
            replaced.symlink_to(root / "private" / ("secret.wav" if what == "file" else ""))
        return found

    monkeypatch.setattr(Path, "resolve", resolve_and_replace)
    with pytest.raises(ObjectNotFound):
        await store.stat("calls", "day/secret.wav")
    assert path.read_bytes() == SECRET


async def test_a_file_that_grows_while_it_is_read_is_not_passed_on(
    root: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_TICK_S", 0.001)  # it is written all the time
    path = root / "calls" / "growing.wav"
    path.write_bytes(bytes(1000))
    done = threading.Event()

    def grow() -> None:
        with path.open("r+b", buffering=0) as file:
            value = 0
            while not done.is_set():
                value = (value + 1) % 256
                file.seek(0)
                file.write(bytes([value]) * 1000)
                file.seek(0)

    growing = threading.Thread(target=grow)
    growing.start()
    refused = 0
    try:
        for _ in range(500):
            try:
                content = await fetch(store, "calls", "growing.wav")
            except Unavailable:
                refused += 1
            else:
                assert len(content) == 1000
    finally:
        done.set()
        growing.join()
    assert refused


async def test_a_file_that_is_written_twice_at_one_time_is_another(
    root: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 6.13 stamp files by a clock that moves each 1 to 10 ms."""
    fstat, tick = os.fstat, 15_000_000

    def coarse(file: int) -> os.stat_result:
        status = fstat(file)
        times = {name: getattr(status, name) // tick * tick for name in ("st_mtime_ns", "st_ctime_ns")}
        return with_fields(status, st_mtime=times["st_mtime_ns"] // 1_000_000_000, **times)

    monkeypatch.setattr(os, "fstat", coarse)
    file = root / "calls" / "day" / "a.wav"
    for _ in range(8):  # some of them are within a tick
        file.write_bytes(b"one")
        found = await store.stat("calls", "day/a.wav")
        with file.open("r+b") as again:
            again.write(b"two")
        with pytest.raises(Unavailable, match="changed"):
            await store.read("calls", "day/a.wav", found)


async def test_without_its_folder_the_store_is_empty(tmp_path: Path) -> None:
    store = FolderStore(Settings(objects_dir=tmp_path / "not-there"))
    with pytest.raises(ObjectNotFound):
        await store.stat("calls", "a.wav")
    await store.close()


async def test_listing_does_not_leave_the_bucket(root: Path, store: FolderStore) -> None:
    (root / "calls" / "out").symlink_to("../../outside")
    (root / "other").symlink_to("private")
    assert await store.keys("calls", "", "", 10) == ["day/a.wav"]
    assert await store.keys("calls", "out/", "", 10) == []
    with pytest.raises(ObjectNotFound):
        await store.keys("other", "", "", 10)


async def test_every_file_whose_name_is_a_key_is_listed(root: Path, store: FolderStore) -> None:
    names = ["a\u00a0b.wav", "a\u202fb.wav", "a\u200cb.wav"]  # spaces and joiners that Python does not call printable
    for name in names:
        (root / "calls" / name).write_bytes(b"one")
        assert (await store.stat("calls", name)).size == 3
    (root / "calls" / "a\tb.wav").touch()
    (root / "calls" / os.fsdecode(b"a\xffb.wav")).touch()
    assert await store.keys("calls", "a", "", 10) == sorted(names)


async def test_a_folder_that_cannot_be_read_is_told_and_not_left_out(
    root: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(cause: int) -> None:
        def refused(path: str) -> object:
            if os.fspath(path).endswith("day"):
                raise OSError(cause, "refused")
            return scan(path)

        monkeypatch.setattr(os, "scandir", refused)

    for cause, error in ((errno.EACCES, Forbidden), (errno.EIO, Unavailable)):
        refuse(cause)
        with pytest.raises(error):
            await store.keys("calls", "", "", 10)
    refuse(errno.ENOENT)
    assert await store.keys("calls", "", "", 10) == []


async def test_nothing_is_listed_below_a_loop_of_links(root: Path, store: FolderStore) -> None:
    (root / "calls" / "loop").symlink_to("loop")
    assert await store.keys("calls", "loop/", "", 10) == []
