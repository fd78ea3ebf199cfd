"""The shadow of photos: the same pixels where both models take them, else the photo once more."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bonafide.calls import Call
from bonafide.decoders.frames import Media
from bonafide.decoders.photos import ThreadPhotos
from bonafide.errors import Unavailable, UnreadableMedia
from bonafide.evidence.judgement import Judgement, Records
from bonafide.face import FaceJudgement
from bonafide.photo.preparation import Photo
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from bonafide.shadow.comparisons import Comparisons
from bonafide.shadow.face import FaceShadow
from bonafide.verdict import PhotoScore
from models.info import ImageGeometry
from tests.bonafide.fakes import INFO, LocalRemote, ready_runner
from tests.bonafide.shadow.shadowed import Seen, ShadowRemote, comparisons, done, shadow_runner
from tests.media import encode_image, photo

PHOTO = encode_image(photo())


class Emptying:
    """Decodes as the service does: the caller's bytes are gone afterwards."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._photos = ThreadPhotos(
            PhotoReader(PhotoRules.from_settings(Settings(decode_threads=2, face_min_pixels=0))), pool
        )
        self.read_for: list[ImageGeometry] = []

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        self.read_for += geometries
        read = await self._photos.read(bytes(data), *geometries)
        if isinstance(data, bytearray):
            data.clear()
        return read


@dataclass
class Shadowed:
    judge: FaceJudgement
    photos: Emptying
    work: Comparisons
    seen: Seen


@asynccontextmanager
async def shadowed(
    second: ShadowRemote, fake: float = 0.9, records: Records | None = None, **chosen: Any
) -> AsyncIterator[Shadowed]:
    seen = Seen()
    work = comparisons(seen, "face", **chosen)
    runner = await ready_runner(LocalRemote(lambda _: fake), PhotoScore.of)
    with ThreadPoolExecutor(1) as pool:
        photos = Emptying(pool)
        shadow = FaceShadow(work, await shadow_runner(second), photos, threshold=None, timeout_s=10)
        judge = FaceJudgement(runner=runner, photos=photos, threshold=0.5, shadow=shadow, records=records)
        yield Shadowed(judge, photos, work, seen)
        await work.close()


async def test_both_models_see_the_same_pixels_decoded_once() -> None:
    shapes = []

    def judge(item: np.ndarray) -> float:
        shapes.append(item.shape)
        return 0.2

    async with shadowed(ShadowRemote(judge)) as running:
        report = await running.judge.judge(bytearray(PHOTO), Call.within(5))
        assert (report.label, shapes) == ("fake", [])
        await done(running.work)
        assert shapes == [(8, 8, 3)]
        assert len(running.photos.read_for) == 1
        assert running.seen.outcomes == {"changed": 1}
        assert running.seen.scores == [(0.9, 0.2)]


async def test_a_model_of_other_pictures_gets_its_own() -> None:
    shapes = []

    def judge(item: np.ndarray) -> float:
        shapes.append(item.shape)
        return 0.8

    second = ShadowRemote(judge)
    second.model |= {"geometry": INFO["geometry"] | {"crop_height": 6, "crop_width": 7}}
    async with shadowed(second) as running:
        await running.judge.judge(bytearray(PHOTO), Call.within(5))
        await done(running.work)
        assert shapes == [(6, 7, 3)]
        assert [geometry.crop_height for geometry in running.photos.read_for] == [8, 6]
        assert running.seen.outcomes == {"agreed": 1}


@pytest.mark.parametrize("geometry", [INFO["geometry"], INFO["geometry"] | {"crop_height": 6}])
async def test_what_finds_no_room_is_dropped(geometry: dict[str, Any]) -> None:
    second = ShadowRemote()
    second.model |= {"geometry": geometry}
    async with shadowed(second, max_bytes=100) as running:
        assert (await running.judge.judge(bytearray(PHOTO), Call.within(5))).label == "fake"
        assert running.seen.outcomes == {"dropped": 1}
        assert running.work.hold(100)


async def test_photos_that_cannot_be_judged_are_not_compared() -> None:
    async with shadowed(ShadowRemote(), max_bytes=1000) as running:
        with pytest.raises(UnreadableMedia):
            await running.judge.judge(b"not a photo", Call.within(5))
        assert running.work.pending == 0
        assert not running.seen.outcomes
        assert running.work.hold(1000)


class NoRoom:
    """Records that cannot be kept."""

    needs_media = signs = True

    async def record(self, judgement: Judgement, call: Call) -> str:
        raise Unavailable("the disk is full")


async def test_verdicts_that_are_refused_are_not_compared() -> None:
    async with shadowed(ShadowRemote(), records=NoRoom()) as running:
        with pytest.raises(Unavailable):
            await running.judge.judge(bytearray(PHOTO), Call.within(5))
        assert running.work.pending == 0
        assert not running.seen.outcomes


async def test_a_shadow_that_is_gone_changes_no_answer() -> None:
    second = ShadowRemote()
    async with shadowed(second) as running:
        second.errors = [ConnectionError("gone")]
        for _ in range(2):
            assert (await running.judge.judge(bytearray(PHOTO), Call.within(5))).label == "fake"
            await done(running.work)
        assert running.seen.outcomes == {"failed": 2}


async def test_one_that_was_replaced_meanwhile_scores_nothing() -> None:
    second = ShadowRemote()
    async with shadowed(second, pause_s=0.05) as running:
        await running.judge.judge(bytearray(PHOTO), Call.within(5))
        second.model |= {"geometry": INFO["geometry"] | {"crop_height": 6}}
        await running.judge._shadow._runner.probe()  # type: ignore[union-attr]
        await done(running.work)
        assert (second.calls, running.seen.outcomes) == (0, {"failed": 1})
