"""A photo as the pixels for a model: decoded in a process of its own, or in a thread of this one."""

import asyncio
from concurrent.futures import Executor
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol, Self

from bonafide.decoders.codec import unpacked_photo
from bonafide.decoders.frames import Media
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import TooLarge
from bonafide.photo.image import ImageLimits
from bonafide.photo.preparation import Photo
from bonafide.photo.quality import QualityLimits
from bonafide.settings import Settings
from models.info import ImageGeometry

if TYPE_CHECKING:
    from bonafide.photo.reader import PhotoReader

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
        limits: of what is read.
        quality: limits beyond which there is a reason.
        crop_margin: see `PhotoReader`.
    """

    def __init__(
        self, pool: DecoderPool, *, limits: ImageLimits, quality: QualityLimits, crop_margin: float | None
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._quality = quality
        self._crop_margin = crop_margin

    @classmethod
    def from_settings(cls, pool: DecoderPool, settings: Settings) -> Self:
        """Built from the settings."""
        return cls(
            pool,
            limits=ImageLimits.from_settings(settings),
            quality=QualityLimits.from_settings(settings),
            crop_margin=settings.face_crop_margin if settings.face_crop else None,
        )

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """See `PhotoDecoder`."""
        if len(data) > self._limits.max_bytes:
            raise TooLarge(f"a photo of {len(data)} bytes; at most {self._limits.max_bytes} are accepted")
        request = {
            "do": "photo",
            "limits": asdict(self._limits),
            "geometries": [asdict(each) for each in geometries],
            "quality": asdict(self._quality),
            "crop_margin": self._crop_margin,
        }
        async with self._pool.job() as job, job.slot():
            answer = await job.ask(request, data, most_bytes=_MAX_MODEL_BYTES)
        return unpacked_photo(answer.header, answer.payload)


class ThreadPhotos:
    """Decodes photos in this process: for tests, whose input is trusted."""

    def __init__(self, reader: "PhotoReader", threads: Executor) -> None:
        self._reader = reader
        self._threads = threads

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """See `PhotoDecoder`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._reader.read, bytes(data), *geometries)
