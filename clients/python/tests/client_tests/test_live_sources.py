import asyncio
import io
import sys
import threading
import wave
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide_client import InvalidRequest, Unavailable, UnreadableMedia, file_blocks, microphone
from bonafide_client.live import sources


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


async def test_a_file_comes_at_its_own_rate_with_its_channels_averaged(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    stereo = random.integers(-20_000, 20_000, (30_000, 2), dtype=np.int16)
    path = write_wav(tmp_path / "a.wav", stereo, 44_100)
    blocks = [block async for block in file_blocks(path)]
    assert {rate for _, rate in blocks} == {44_100}
    assert all(len(data) // 4 >= 0.25 * 44_100 for data, _ in blocks[:-1])
    heard = np.frombuffer(b"".join(data for data, _ in blocks), "<f4")
    np.testing.assert_allclose(heard, stereo.mean(axis=1) / 32768, atol=1e-6)


async def test_channels_that_cancel_each_other_give_the_first(tmp_path: Path) -> None:
    sound = np.random.default_rng(1).integers(-20_000, 20_000, 30_000, dtype=np.int16)
    path = write_wav(tmp_path / "a.wav", np.stack([sound, -sound], axis=1), 44_100)
    heard = np.frombuffer(b"".join([data async for data, _ in file_blocks(path)]), "<f4")
    np.testing.assert_allclose(heard, sound / 32768, atol=1e-6)


def write_joined(path: Path, *forms: tuple[int, str]) -> Path:
    """A second of a tone in each form, a rate and a layout, one stream behind the other, as radio stations send it."""
    joined = b""
    for rate, layout in forms:
        part = io.BytesIO()
        with av.open(part, "w", format="adts") as output:
            stream = output.add_stream("aac", rate=rate)
            stream.layout = layout
            tone = (np.sin(np.arange(rate) / rate * 2_765) * 0.5).astype(np.float32)
            samples = np.stack([tone] * stream.layout.nb_channels)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.rate = rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                output.mux(packet)
        joined += part.getvalue()
    path.write_bytes(joined)
    return path


async def test_a_file_that_changes_comes_at_the_rate_of_each_part(tmp_path: Path) -> None:
    path = write_joined(tmp_path / "a.aac", (16_000, "mono"), (44_100, "stereo"), (44_100, "mono"))
    seconds: dict[int, float] = {}
    async for data, rate in file_blocks(path):
        seconds[rate] = seconds.get(rate, 0.0) + len(data) / 4 / rate
    assert seconds == {16_000: pytest.approx(1, abs=0.2), 44_100: pytest.approx(2, abs=0.2)}


async def test_realtime_takes_as_long_as_the_recording(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros((8_000, 1), np.int16), 8_000)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert len([block async for block in file_blocks(path, realtime=True)]) >= 3
    assert loop.time() - start >= 0.9


async def test_what_is_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"not audio" * 100)
    with pytest.raises(UnreadableMedia, match=r"a\.wav"):
        await anext(file_blocks(tmp_path / "a.wav"))
    with pytest.raises(FileNotFoundError):
        await anext(file_blocks(tmp_path / "none.wav"))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidRequest, match=r"bonafide-client\[files\]"):
        await anext(file_blocks(tmp_path / "a.wav"))


class FakeStream:
    """Stands in for a sound card: calls back from a thread, as PortAudio does."""

    def __init__(self, samplerate: int, channels: int, dtype: str, blocksize: int, device: Any, callback: Any) -> None:
        assert (channels, dtype) == (1, "float32")
        if device == "none":
            raise ValueError("no such device")
        self.block = bytes(4 * blocksize)
        self.callback = callback
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.speak)

    def speak(self) -> None:
        while not self.stop.wait(0.001):
            self.callback(self.block, len(self.block) // 4, None, None)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


@pytest.fixture
def sound_card(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(RawInputStream=FakeStream, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


@pytest.mark.usefixtures("sound_card")
async def test_the_microphone_is_heard_block_by_block() -> None:
    async with aclosing(microphone(48_000)) as blocks:
        for _ in range(3):
            data, rate = await anext(blocks)
            assert (len(data), rate) == (4 * 12_000, 48_000)
    with pytest.raises(Unavailable, match="no such device"):
        await anext(microphone(device="none"))


@pytest.mark.usefixtures("sound_card")
async def test_who_listens_too_slowly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST_WAITING", 5)
    async with aclosing(microphone()) as blocks:
        await anext(blocks)
        await asyncio.sleep(0.5)
        with pytest.raises(Unavailable, match="too slowly"):
            await anext(blocks)


class QuietStream(FakeStream):
    """One that calls back when a test speaks."""

    def __enter__(self) -> None:
        opened.append(self)

    def __exit__(self, *_: object) -> None: ...


opened: list[QuietStream] = []


async def test_what_was_heard_before_the_end_is_not_lost_however_slow_its_reader(
    sound_card: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["sounddevice"], "RawInputStream", QuietStream)
    monkeypatch.setattr(sources, "_MOST_WAITING", 10)
    until, heard = asyncio.Event(), []
    async with aclosing(microphone(until=until)) as blocks:
        first = asyncio.create_task(anext(blocks))
        await asyncio.sleep(0)
        microphone_now = opened.pop()
        for number in range(5):
            microphone_now.callback(bytes([number]), 1, None, None)
        heard.append(await first)
        until.set()
        for _ in range(20):  # not wanted any more
            microphone_now.callback(b"late", 1, None, None)
        heard += [block async for block in blocks]
    assert heard == [(bytes([number]), 16_000) for number in range(5)]


async def test_a_silent_microphone_ends(sound_card: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["sounddevice"], "RawInputStream", QuietStream)
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, until.set)
    assert [block async for block in microphone(until=until)] == []


async def test_microphone_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InvalidRequest, match=r"bonafide-client\[microphone\]"):
        await anext(microphone())


async def test_microphone_without_the_systems_library_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(InvalidRequest, match="libportaudio2: PortAudio library not found"):
        await anext(microphone())
