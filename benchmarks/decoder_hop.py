"""Overhead of decoding in another process: milliseconds for a WAV of 4 s and for the sample photo, a markdown table.

Both variants alternate, so that other load affects them alike; the median counts.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.tables import machine, markdown_table
from bonafide.audio.reader import AudioLimits
from bonafide.decoders.photos import ProcessPhotos, ThreadPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.recordings import ProcessRecordings, RecordingDecoder, ThreadRecordings
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from models.info import ImageGeometry
from tests.media import encode, speech_like

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "objects" / "samples" / "face.jpg"
GEOMETRY = ImageGeometry(256, None, None, 224, 224, 3)

Run = Callable[[], Awaitable[object]]


async def windows(decoder: RecordingDecoder, data: bytes, limits: AudioLimits) -> None:
    """Decodes a recording to its end."""
    async with decoder.open(data, limits, 4) as stream:
        while await stream.next_windows() is not None:
            pass


async def medians(runs: list[Run], rounds: int) -> list[float]:
    """Milliseconds of each."""
    spent: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, times in zip(runs, spent, strict=True):
            began = time.perf_counter()
            await run()
            times.append(1000 * (time.perf_counter() - began))
    return [statistics.median(times) for times in spent]


async def table(rounds: int) -> list[list[str]]:
    """A row for each kind of file."""
    settings = Settings()
    limits = AudioLimits.from_settings(settings)
    recording, photo = encode(speech_like(4.0), 16_000), SAMPLE.read_bytes()
    long_recording = encode(speech_like(600.0), 16_000)
    rows = []
    with ThreadPoolExecutor(1) as threads:
        pool = DecoderPool.from_settings(settings)
        in_thread, in_process = ThreadRecordings(threads), ProcessRecordings(pool)
        photos = ThreadPhotos(PhotoReader(PhotoRules.from_settings(settings)), threads)
        other_photos = ProcessPhotos(pool, PhotoRules.from_settings(settings))

        async def other_process() -> None:
            pool.close_idle()
            await windows(in_process, recording, limits)

        kinds: list[tuple[str, Run, Run]] = [
            ("4 s WAV", lambda: windows(in_thread, recording, limits), lambda: windows(in_process, recording, limits)),
            ("4 s WAV, new process", lambda: windows(in_thread, recording, limits), other_process),
            ("photo", lambda: photos.read(photo, GEOMETRY), lambda: other_photos.read(photo, GEOMETRY)),
        ]
        await windows(in_process, recording, limits)
        for name, thread, process in kinds:
            here, there = await medians([thread, process], rounds)
            rows.append([name, f"{here:.2f}", f"{there:.2f}", f"{there - here:+.2f}"])
        long_runs: list[Run] = [
            lambda: windows(in_thread, long_recording, limits),
            lambda: windows(in_process, long_recording, limits),
        ]
        here, there = await medians(long_runs, max(3, rounds // 40))
        rows.append(["10 min WAV", f"{here:.2f}", f"{there:.2f}", f"{there - here:+.2f}"])
        pool.close()
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="of each; the median counts")
    rows = asyncio.run(table(parser.parse_args().rounds))
    print(machine())
    print(markdown_table(["file", "thread, ms", "process, ms", "added, ms"], rows))


if __name__ == "__main__":
    main()
