"""A photo as the pixels for a model: decoded in a process of its own, or in a thread of this one.

Faces are detected in this process either way: the network is shared, and its input is only a small square.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from math import prod
from typing import Any, Protocol, Self

from bonafide.decoders.codec import unpacked_pixels
from bonafide.decoders.frames import Frame, Media
from bonafide.decoders.pool import DecoderPool, Job
from bonafide.errors import TooLarge
from bonafide.photo.face_detector import FaceDetector, FaceSearch
from bonafide.photo.faces import NEAR_SIDE
from bonafide.photo.image import ImageLimits
from bonafide.photo.quality import QualityLimits, Reason
from bonafide.photo.reader import Photo, PhotoReader
from bonafide.settings import Settings
from models.info import ImageGeometry

_MAX_MODEL_BYTES = 64 * 1024 * 1024
"""Most bytes that a model is given of a photo: one without a crop, and long."""


class PhotoDecoder(Protocol):
    """Where photos are decoded."""

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """Decodes a photo, detects faces and prepares it, for an ensemble in several ways.

        Raises:
            BonafideError: see `PhotoReader.read`.
        """


class ProcessPhotos:
    """Decodes photos in processes.

    Args:
        pool: provides the processes.
        threads: detect faces.
        limits: of what is read.
        quality: limits beyond which there is a reason.
        crop_margin: see `PhotoReader`.
        finder: finds the faces.
    """

    def __init__(
        self,
        pool: DecoderPool,
        threads: Executor,
        *,
        limits: ImageLimits,
        quality: QualityLimits,
        crop_margin: float | None,
        finder: FaceDetector,
    ) -> None:
        self._pool = pool
        self._threads = threads
        self._limits = limits
        self._quality = quality
        self._crop_margin = crop_margin
        self._finder = finder

    @classmethod
    def from_settings(cls, pool: DecoderPool, threads: Executor, settings: Settings) -> Self:
        """Built from the settings."""
        return cls(
            pool,
            threads,
            limits=ImageLimits.from_settings(settings),
            quality=QualityLimits.from_settings(settings),
            crop_margin=settings.face_crop_margin if settings.face_crop else None,
            finder=FaceDetector.of_process(settings.decode_threads),
        )

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """See `PhotoDecoder`. The slot is kept to the end: until then the process has the whole picture in memory."""
        if len(data) > self._limits.max_bytes:
            raise TooLarge(f"a photo of {len(data)} bytes; at most {self._limits.max_bytes} are accepted")
        async with self._pool.job() as job, job.slot():
            search = await self._searched(job, data, geometries)
            request = {"do": "prepare", "faces": [asdict(face) for face in search.faces]}
            answer = await job.ask(request, most_bytes=_MAX_MODEL_BYTES)
        reason = answer.header["reason"]
        pixels = unpacked_pixels(answer.header["shape"], answer.payload)
        return Photo(pixels, None if reason is None else Reason(reason), search.faces)

    async def _searched(self, job: Job, data: Media, geometries: Sequence[ImageGeometry]) -> FaceSearch:
        side = NEAR_SIDE  # what a search asks for first
        begin: dict[str, Any] = {
            "do": "photo",
            "side": side,
            "limits": asdict(self._limits),
            "geometries": [asdict(each) for each in geometries],
            "quality": asdict(self._quality),
            "crop_margin": self._crop_margin,
        }
        answer = await job.ask(begin, data, most_bytes=_square_bytes(side))
        width, height = (int(edge) for edge in answer.header["size"])
        search = self._finder.search((width, height))
        await self._look(search, answer, side)
        while (side_wanted := search.side) is not None:
            request = {"do": "look", "side": side_wanted}
            answer = await job.ask(request, most_bytes=_square_bytes(side_wanted))
            await self._look(search, answer, side_wanted)
        return search

    async def _look(self, search: FaceSearch, answer: Frame, side: int) -> None:
        square = unpacked_pixels((side, side, 3), answer.payload)
        await asyncio.get_running_loop().run_in_executor(self._threads, search.look, square)


class ThreadPhotos:
    """Decodes photos in this process: for tests, whose input is trusted."""

    def __init__(self, reader: PhotoReader, threads: Executor) -> None:
        self._reader = reader
        self._threads = threads

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """See `PhotoDecoder`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._reader.read, bytes(data), *geometries)


def _square_bytes(side: int) -> int:
    return prod((side, side, 3))
