import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonafide.audio.reader import AudioLimits, AudioReader, Window
from bonafide.decoders import limits
from bonafide.decoders import pool as pool_module
from bonafide.decoders import processes as process_module
from bonafide.decoders.photos import ProcessPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.processes import Template
from bonafide.decoders.recordings import ProcessRecordings, RecordingDecoder
from bonafide.errors import TooLarge, Unavailable, UnreadableMedia
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.security.caller import set_caller
from bonafide.settings import Settings
from models.info import ImageGeometry
from tests.bombs import bmp_of_runs, laced_matroska
from tests.media import encode, encode_image, photo, speech_like, wav, with_gap
from tests.portraits import no_face, portrait

SETTINGS = Settings(decode_threads=2)
LIMITS = AudioLimits.from_settings(SETTINGS)
GEOMETRY = ImageGeometry(256, None, None, 224, 224, 3)
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def decoders(settings: Settings = SETTINGS) -> AsyncIterator[DecoderPool]:
    pool = DecoderPool.from_settings(settings)
    try:
        yield pool
    finally:
        pool.close()


async def windows_of(decoder: RecordingDecoder, data: bytes, limits: AudioLimits = LIMITS) -> list[Window]:
    windows: list[Window] = []
    async with decoder.open(data, limits, 3) as stream:
        while (more := await stream.next_windows()) is not None:
            windows += more
    return windows


def _page_faults(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def processes() -> list[int]:
    """The decoding processes of this process's template."""
    template = Template.of_process().pid
    return [int(pid) for pid in Path(f"/proc/{template}/task/{template}/children").read_text().split()]


@pytest.mark.parametrize(("kind", "before"), [("wav", 0), ("mp3", 600), ("opus", 32_000)])
async def test_a_process_gives_the_same_windows_as_a_thread(kind: str, before: int) -> None:
    data = encode(speech_like(14.0, 48_000), 48_000, kind)
    reader = AudioReader(data[:-3000], LIMITS, 3, before)
    expected = [window for group in reader for window in group]
    assert [len(window.pcm) for window in expected[:2]] == [64_000, 64_000 + before]
    async with decoders() as pool, ProcessRecordings(pool).open(data[:-3000], LIMITS, 3, before) as stream:
        windows: list[Window] = []
        while (more := await stream.next_windows()) is not None:
            windows += more
        assert await stream.next_windows() is None
    assert (stream.seconds, stream.warnings) == (reader.seconds, reader.warnings)
    assert [_place(window) for window in windows] == [_place(window) for window in expected]
    assert all(np.array_equal(one.pcm, other.pcm) for one, other in zip(windows, expected, strict=True))


async def test_a_process_keeps_the_memory_of_a_short_recording_for_the_next() -> None:
    data = encode(speech_like(8.0), 16_000)
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        faults = []
        for _ in range(40):
            await windows_of(recordings, data)
            faults.append(sum(_page_faults(pid) for pid in processes()))
    # Given back and taken anew, its few megabytes are a thousand pages.
    assert faults[-1] - faults[19] < 20 * 100


async def test_a_process_reads_joined_files_and_gaps_as_a_thread_does() -> None:
    webm = with_gap(encode(speech_like(3.0, 48_000), 48_000, "webm"), "webm", 1.0, 6.0)
    data = webm + encode(speech_like(5.0), 16_000) + np.random.default_rng(1).bytes(50_000)
    reader = AudioReader(data, LIMITS, 3)
    expected = [window for group in reader for window in group]
    async with decoders() as pool, ProcessRecordings(pool).open(data, LIMITS, 3) as stream:
        windows: list[Window] = []
        while (more := await stream.next_windows()) is not None:
            windows += more
    assert reader.seconds == stream.seconds == pytest.approx(14.0, abs=0.01)
    assert stream.warnings == reader.warnings
    assert [warning.split(":")[0] for warning in reader.warnings] == [
        "the file holds 2 recordings that were joined; all were judged",
        "unread_bytes",
    ]
    assert [_place(window) for window in windows] == [_place(window) for window in expected]
    assert all(np.array_equal(one.pcm, other.pcm) for one, other in zip(windows, expected, strict=True))


@pytest.mark.parametrize("picture", [portrait(), no_face(), photo(640, 360)])
@pytest.mark.parametrize("crop", [False, True])
async def test_a_process_gives_the_same_photo_as_a_thread(picture: Image.Image, crop: bool) -> None:
    settings = Settings(decode_threads=2, face_crop=crop)
    expected = PhotoReader(PhotoRules.from_settings(settings)).read(encode_image(picture), GEOMETRY)
    async with decoders() as pool:
        found = await ProcessPhotos(pool, PhotoRules.from_settings(settings)).read(encode_image(picture), GEOMETRY)
    assert (found.reason, found.faces) == (expected.reason, expected.faces)
    assert np.array_equal(found.pixels, expected.pixels)


async def test_a_process_gives_an_ensemble_the_same_pictures_as_a_thread() -> None:
    settings = Settings(decode_threads=2)
    geometries = [GEOMETRY, replace(GEOMETRY, face_factor=2.7, antialias=False, resample=2)]
    expected = PhotoReader(PhotoRules.from_settings(settings)).read(encode_image(portrait()), *geometries)
    async with decoders() as pool:
        photos = ProcessPhotos(pool, PhotoRules.from_settings(settings))
        found = await photos.read(encode_image(portrait()), *geometries)
    assert found.pixels.ndim == 1
    assert np.array_equal(found.pixels, expected.pixels)


async def test_errors_are_those_of_the_readers_and_the_process_goes_on() -> None:
    data = encode(speech_like(9.0), 16_000)
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        with pytest.raises(UnreadableMedia, match="AIFF is not accepted"):
            await windows_of(recordings, b"FORM" + bytes(100))
        before = processes()
        with pytest.raises(UnreadableMedia, match="empty"):
            await windows_of(recordings, b"")
        with pytest.raises(TooLarge, match="more than 5 s"):
            await windows_of(recordings, data, AudioLimits(2**20, 5.0, 2, 48_000))
        with pytest.raises(TooLarge, match="10 are accepted"):
            await windows_of(recordings, data, AudioLimits(10, 5.0, 2, 48_000))
        photos = ProcessPhotos(pool, PhotoRules.from_settings(SETTINGS))
        with pytest.raises(UnreadableMedia, match="SVG"):
            await photos.read(b"<svg>", GEOMETRY)
        assert processes() == before


@pytest.mark.parametrize("seconds", [1.0, 90.0])  # the second is larger than a piece
async def test_a_recording_that_was_handed_over_is_not_held_twice(seconds: float) -> None:
    data = wav(np.ones(round(16_000 * seconds), np.int16), 16_000)
    given = bytearray(data)
    async with decoders() as pool:
        async with ProcessRecordings(pool).open(given, LIMITS, 3) as stream:
            assert given == data
            first = await stream.next_windows()
            assert not given
        assert first is not None
        assert [_place(window) for window in first] == [
            _place(w) for w in (await windows_of(ProcessRecordings(pool), data))[:3]
        ]


async def test_a_photo_that_was_handed_over_is_not_held_twice() -> None:
    given = bytearray(encode_image(portrait()))
    async with decoders() as pool:
        found = await ProcessPhotos(pool, PhotoRules.from_settings(SETTINGS)).read(given, GEOMETRY)
    assert len(found.faces) == 1
    assert not given


async def test_a_process_that_takes_no_bytes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_TAKING_S", 0.5)
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        await windows_of(recordings, encode(speech_like(1.0), 16_000))
        (stuck,) = processes()
        os.kill(stuck, signal.SIGSTOP)
        large = wav(np.ones(100 * 16_000, np.int16), 16_000)
        with pytest.raises(UnreadableMedia):
            await windows_of(recordings, large)
        assert len(await windows_of(recordings, large)) == 25
        assert stuck not in processes()


async def test_a_file_that_is_given_up_frees_its_process() -> None:
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        await windows_of(recordings, encode(speech_like(1.0), 16_000))
        (before,) = processes()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(windows_of(recordings, laced_matroska(4_000)), 0.5)
        assert time.monotonic() - began < 1
        while before in processes():
            await asyncio.sleep(0.01)
        assert len(await windows_of(recordings, encode(speech_like(1.0), 16_000))) == 1


async def test_a_process_that_dies_costs_its_own_file_alone() -> None:
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        async with recordings.open(laced_matroska(4_000), LIMITS, 3) as stream:
            task = asyncio.create_task(stream.next_windows())
            await asyncio.sleep(0.3)
            (process,) = processes()
            os.kill(process, signal.SIGXCPU)
            with pytest.raises(UnreadableMedia, match="too much time or memory"):
                await task
        await windows_of(recordings, encode(speech_like(1.0), 16_000))
        (idle,) = processes()
        os.kill(idle, signal.SIGKILL)
        while processes():
            await asyncio.sleep(0.01)
        assert len(await windows_of(recordings, encode(speech_like(1.0), 16_000))) == 1


async def test_the_end_of_all_processes_is_not_the_fault_of_a_file() -> None:
    async with decoders() as pool:
        recordings = ProcessRecordings(pool)
        async with recordings.open(laced_matroska(4_000), LIMITS, 3) as stream:
            task = asyncio.create_task(stream.next_windows())
            await asyncio.sleep(0.3)
            template = Template.of_process().pid
            assert template is not None
            os.kill(template, signal.SIGKILL)
            with pytest.raises(Unavailable):
                await task
        assert len(await windows_of(recordings, encode(speech_like(1.0), 16_000))) == 1


async def test_a_process_is_replaced_after_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_MAX_FILES", 3)
    data, seen = encode(speech_like(1.0), 16_000), set()
    async with decoders() as pool:
        for _ in range(3):
            await windows_of(ProcessRecordings(pool), data)
            seen |= set(processes())
        assert len(seen) == 1
        while processes():
            await asyncio.sleep(0.01)
        await windows_of(ProcessRecordings(pool), data)
        assert not seen & set(processes())


async def test_short_recordings_share_as_many_processes_as_work() -> None:
    data = encode(speech_like(4.0), 16_000)
    async with decoders() as pool:
        decoder = ProcessRecordings(pool)
        await windows_of(decoder, data)
        seen = set(processes())
        began: list[int] = []

        async def read() -> None:
            async with decoder.open(data, LIMITS, 3) as stream:
                while await stream.next_windows() is not None:
                    began.extend(set(processes()) - seen)
                    await asyncio.sleep(0.02)  # as the service does when it looks into its cache

        await asyncio.gather(*(read() for _ in range(24)))
    assert len(set(began)) <= SETTINGS.decode_threads


async def test_memory_is_bounded() -> None:
    pool = DecoderPool(2, 40_000_000, Template.of_process())
    photos = ProcessPhotos(pool, PhotoRules.from_settings(SETTINGS))
    with pytest.raises(UnreadableMedia, match="too much memory"):
        await photos.read(encode_image(Image.new("RGB", (4_200, 4_200)), "PNG"), GEOMETRY)
    assert (await photos.read(encode_image(portrait()), GEOMETRY)).faces
    pool.close()


@pytest.mark.parametrize(
    ("mode", "kind", "copies"),
    [("RGB", "JPEG", 2), ("CMYK", "JPEG", 2), ("RGBA", "PNG", 2), ("I;16", "PNG", 2), ("RGB", "WEBP", 3)],
)
async def test_how_often_a_photo_is_held_while_it_is_turned_upright(mode: str, kind: str, copies: int) -> None:
    side = 1_999  # does not divide, so that all of a JPEG is decoded
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode_image(Image.new(mode, (side, side)), kind, exif=exif, method=0)
    pool = DecoderPool(2, int((copies + 0.6) * 4 * side * side), Template.of_process())
    photos = ProcessPhotos(pool, PhotoRules.from_settings(SETTINGS))
    for file in (data, data[:-2]) if kind == "JPEG" else (data,):  # a JPEG may lack its end marker
        assert not (await photos.read(file, GEOMETRY)).faces
    pool.close()


async def test_eight_bombs_of_one_caller_do_not_delay_another() -> None:
    data, picture = encode(speech_like(4.0), 16_000), encode_image(portrait())
    waits = []
    async with decoders() as pool:
        recordings, photos = ProcessRecordings(pool), ProcessPhotos(pool, PhotoRules.from_settings(SETTINGS))
        await windows_of(recordings, data)
        set_caller("mallory")
        bombs: list[asyncio.Task[object]] = []
        for _ in range(4):
            bombs.append(asyncio.create_task(windows_of(recordings, laced_matroska(14_000))))
            bombs.append(asyncio.create_task(photos.read(bmp_of_runs(), GEOMETRY)))
        set_caller("alice")
        await asyncio.sleep(0.2)
        for _ in range(20):
            for call in (windows_of(recordings, data), photos.read(picture, GEOMETRY)):
                began = time.monotonic()
                await call
                waits.append(time.monotonic() - began)
        assert not any(bomb.done() for bomb in bombs)
        for bomb in bombs:
            bomb.cancel()
        await asyncio.gather(*bombs, return_exceptions=True)
    assert max(waits) < 1


def test_the_kernel_ends_a_step_that_takes_too_long() -> None:
    step = "limits._STEP_CPU_S = 0.2; limits.CpuBound(0).begin_step()\nwhile True: pass"
    code = f"from bonafide.decoders import limits; {step}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=30)
    assert ended.returncode == -signal.SIGXCPU


def test_many_slow_steps_take_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_JOB_CPU_S", 1.0)
    monkeypatch.setattr(resource, "setrlimit", lambda *given: None)
    bound = limits.CpuBound(0)
    bound.begin_step()
    spent = time.process_time() + 20.0
    monkeypatch.setattr(time, "process_time", lambda: spent)
    bound.begin_step(audio_s=600.0)
    with pytest.raises(UnreadableMedia, match="takes too long"):
        bound.begin_step(audio_s=60.0)


def test_processes_end_with_the_service_and_do_not_see_its_secrets() -> None:
    service = (
        "import asyncio, os\n"
        "from bonafide.decoders.processes import Template\n"
        "async def main():\n"
        "    from bonafide.decoders.processes import Worker\n"
        "    worker = Worker(Template.of_process().fork())\n"
        "    await worker.started()\n"
        "    print(Template.of_process().pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"MINIO_SECRET_KEY": "hidden"}
    process = subprocess.Popen(
        [sys.executable, "-c", service], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    template = int(process.stdout.readline())
    (worker,) = Path(f"/proc/{template}/task/{template}/children").read_text().split()
    loaded = Path(f"/proc/{worker}/maps").read_text()
    assert "hidden" not in Path(f"/proc/{template}/environ").read_text()
    assert not any(name in loaded for name in ("libtorch", "openvino", "grpc"))
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 5
    while any(_runs(pid) for pid in (template, int(worker))):
        assert time.monotonic() < deadline, "a decoding process outlived its service"
        time.sleep(0.02)


def _place(window: Window) -> dict[str, object]:
    return asdict(window) | {"pcm": len(window.pcm)}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
