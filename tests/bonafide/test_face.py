import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from PIL import Image

from bonafide.calls import Call
from bonafide.decoders.photos import ThreadPhotos
from bonafide.errors import Internal, Overloaded, UnreadableMedia
from bonafide.evidence.judgement import Judgement, Records
from bonafide.face import FaceJudgement
from bonafide.photo.preparation import Photo
from bonafide.photo.quality import Reason
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from bonafide.verdict import PhotoScore
from models.info import ImageGeometry
from tests.bonafide.fakes import MEMBERS, LocalRemote, ready_runner
from tests.media import encode_image, photo
from tests.portraits import no_face, portrait


@cache
def reader() -> PhotoReader:
    return PhotoReader(PhotoRules.from_settings(Settings(decode_threads=2, face_min_pixels=0)))


async def judgement(
    remote: LocalRemote, *, threshold: float = 0.5, max_calls: int = 8, records: Records | None = None
) -> FaceJudgement:
    runner = await ready_runner(remote, PhotoScore.of, max_calls=max_calls)
    photos = ThreadPhotos(reader(), ThreadPoolExecutor(1, "decode"))
    return FaceJudgement(runner=runner, photos=photos, threshold=threshold, records=records)


@pytest.mark.parametrize(
    ("fake", "threshold", "label", "confidence"),
    [(0.9, 0.5, "fake", 0.9), (0.2, 0.5, "live", 0.8), (0.5, 0.5, "fake", 0.5), (0.6, 0.7, "live", 0.4)],
)
async def test_the_label_follows_the_threshold(fake: float, threshold: float, label: str, confidence: float) -> None:
    judge = await judgement(LocalRemote(lambda item: fake), threshold=threshold)
    report = await judge.judge(encode_image(photo()), Call.within(5))
    assert report.label == label
    assert report.confidence == pytest.approx(confidence)
    assert report.fake + report.live == pytest.approx(1)


async def test_the_model_gets_the_shape_it_asked_for() -> None:
    seen: list[tuple[tuple[int, ...], np.dtype[np.generic]]] = []

    def judge(item: np.ndarray) -> float:
        seen.append((item.shape, item.dtype))
        return 0.5

    await (await judgement(LocalRemote(judge))).judge(encode_image(photo(640, 360)), Call.within(5))
    assert seen == [((8, 8, 3), np.dtype(np.uint8))]


async def test_photos_are_decoded_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def watched(data: bytes, geometry: ImageGeometry) -> Photo:
        threads.append(threading.current_thread().name)
        return PhotoReader.read(reader(), data, geometry)

    monkeypatch.setattr(reader(), "read", watched)
    await (await judgement(LocalRemote())).judge(encode_image(photo()), Call.within(5))
    assert threads[0].startswith("decode")


async def test_each_member_of_an_ensemble_is_given_its_own_picture() -> None:
    """The first one's crop of 2.7 times the face, and the other one's of 4, one after the other."""
    first = ImageGeometry(None, 80, 60, None, None, 2, antialias=False, face_factor=2.7)
    second = ImageGeometry(None, 24, 32, None, None, 2, antialias=False, face_factor=4.0)
    data = encode_image(portrait(), "PNG")
    alone = [reader().read(data, geometry).pixels for geometry in (first, second)]
    seen: list[np.ndarray] = []

    def judge(item: np.ndarray) -> float:
        seen.append(item)
        return 0.75

    remote = LocalRemote(judge)
    remote.model = remote.model | MEMBERS | {"geometry": asdict(first), "more_geometries": [asdict(second)]}
    remote.members = lambda item: (0.5, 1.0)
    report = await (await judgement(remote)).judge(data, Call.within(5))
    assert (report.fake, report.member_scores) == (0.75, {"one": 0.5, "two": 1.0})
    np.testing.assert_array_equal(seen[0], np.concatenate([pixels.ravel() for pixels in alone]))
    assert seen[0].shape == report.model.picture_shape


@pytest.mark.parametrize(("picture", "reason", "faces"), [(portrait(), None, 1), (no_face(), Reason.NO_FACE, 0)])
async def test_a_reason_stands_beside_the_verdict(picture: Image.Image, reason: Reason | None, faces: int) -> None:
    report = await (await judgement(LocalRemote(lambda item: 0.9))).judge(encode_image(picture), Call.within(5))
    assert (report.label, report.reason, len(report.faces)) == ("fake", reason, faces)


async def test_errors() -> None:
    judge = await judgement(LocalRemote(lambda item: float("nan")), max_calls=1)
    with pytest.raises(UnreadableMedia):
        await judge.judge(b"not a photo", Call.within(5))
    with pytest.raises(Internal):
        await judge.judge(encode_image(photo()), Call.within(5))
    with judge._runner.admit(), pytest.raises(Overloaded):
        await judge.judge(encode_image(photo()), Call.within(5))


class SlowDisk:
    """Records that are kept when the disk allows it."""

    needs_media = signs = True

    def __init__(self) -> None:
        self.asked, self.allowed = asyncio.Event(), asyncio.Event()

    async def record(self, judgement: Judgement, call: Call) -> str:
        self.asked.set()
        await self.allowed.wait()
        return "signed"


async def test_a_call_counts_until_its_record_is_kept() -> None:
    disk = SlowDisk()
    judge = await judgement(LocalRemote(), max_calls=1, records=disk)
    first = asyncio.create_task(judge.judge(encode_image(photo()), Call.within(5)))
    await disk.asked.wait()
    with pytest.raises(Overloaded):
        async with asyncio.timeout(5):
            await judge.judge(encode_image(photo()), Call.within(5))
    disk.allowed.set()
    assert (await first).evidence == "signed"
