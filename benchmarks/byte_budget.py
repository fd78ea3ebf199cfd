"""Memory of large uploads that are judged at the same time, over the bytes that the budget counts: a markdown table.

What this process and its decoding processes have allocated, shared pages once; the runner is a fake.
"""

import argparse
import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import allocated_bytes, tree
from benchmarks.tables import machine, markdown_table
from bonafide.app import App
from bonafide.calls import Call
from bonafide.runner.remote import RunnerResult
from bonafide.settings import Settings
from bonafide.settings.group import MIB
from bonafide.voice_report import report_of
from tests.bonafide.fakes import LocalRemote
from tests.media import wav

_LOOK_S = 0.02
_PART_BYTES = MIB
_WINDOW_S = 0.02


class Memory(NamedTuple):
    """Bytes, beside what was in use before.

    Attributes:
        peak: most at one time.
        steady: median while the uploads are judged.
    """

    peak: int
    steady: int


def in_use() -> int:
    """Allocated by this process and its children."""
    return allocated_bytes(tree(os.getpid()))


@contextlib.contextmanager
def watched() -> Iterator[list[int]]:
    """Looks at the memory until the block ends; what was seen is in the list."""
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            seen.append(in_use())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


async def upload(app: App, recording: bytes, index: int) -> None:
    """Sends a recording in parts, each upload with other bytes at its end, and waits for its verdict."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(recording), _PART_BYTES):
            yield recording[start : start + _PART_BYTES]
            await asyncio.sleep(0)
        yield bytes([index])

    async with app.budget.collect(parts(), app.settings.max_audio_bytes) as data:
        await report_of(app.voice.analyze_bytes(data, Call.within(600)))


class _Model(LocalRemote):
    """Takes as long as a model might: otherwise most of what is seen is the uploads' arrival."""

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        await asyncio.sleep(_WINDOW_S * len(items))
        return await super().score(items)


async def measure(uploads: int, upload_bytes: int) -> Memory:
    """Memory of so many uploads of that size at one time."""
    settings = Settings(
        cache_max_bytes=0,
        max_audio_bytes=2 * upload_bytes,
        max_image_bytes=1,
        max_inflight_bytes=2 * uploads * upload_bytes,
    )
    noise = np.random.default_rng(1).integers(-3000, 3000, upload_bytes // 2, np.int16)
    recording = wav(noise, 48_000)
    del noise
    remote = _Model()
    with TemporaryDirectory() as folder:
        settings = settings.model_copy(update={"objects_dir": Path(folder)})
        app = App(settings, voice=remote, face=remote)
        await app.voice_runner.probe()
        await upload(app, wav(np.ones(64_000, np.int16), 16_000), 0)  # starts the processes
        before = in_use()
        with watched() as seen:
            began = time.perf_counter()
            await asyncio.gather(*(upload(app, recording, index) for index in range(uploads)))
            print(f"{uploads} uploads of {upload_bytes / MIB:g} MiB took {time.perf_counter() - began:.0f} s")
        await app.close()
    seen.sort()
    return Memory(seen[-1] - before, seen[len(seen) // 2] - before)


async def table(uploads: int, upload_bytes: int) -> list[list[str]]:
    """One row."""
    memory = await measure(uploads, upload_bytes)
    counted = uploads * upload_bytes
    figures = (f"{each / MIB:.0f} MiB ({each / counted:.2f})" for each in memory)
    return [[f"{uploads} of {upload_bytes / MIB:g} MiB", f"{counted / MIB:.0f} MiB", *figures]]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=4)
    parser.add_argument("--mib", type=float, default=120.0, help="size of each")
    options = parser.parse_args()
    rows = asyncio.run(table(options.uploads, int(options.mib * MIB)))
    print(f"{machine()}\n\n{markdown_table(['uploads', 'counted', 'peak', 'median'], rows)}")


if __name__ == "__main__":
    main()
