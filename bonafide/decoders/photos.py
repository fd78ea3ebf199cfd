"""A photo as the pixels for a model: decoded in a process of its own, or in a thread of this one."""

import asyncio
from concurrent.futures import Executor
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from bonafide.decoders.codec import unpacked_photo
from bonafide.decoders.frames import Media
from bonafide.decoders.pool import DecoderPool
from bonafide.errors import TooLarge
from bonafide.photo.preparation import Photo
from bonafide.photo.rules import PhotoRules
from models.info import ImageGeometry

if TYPE_CHECKING:
    from bonafide.photo.reader import PhotoReader

_MAX_MODEL_BYTES = 64 * 1024 * 1024
"""Most bytes that models are given of a photo: the largest picture that one may ask for has 48 MiB."""


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
        rules: by which photos are read.
    """

    def __init__(self, pool: DecoderPool, rules: PhotoRules) -> None:
        self._pool = pool
        self._max_bytes = rules.limits.max_bytes
        self._rules = rules.to_dict()

    async def read(self, data: Media, *geometries: ImageGeometry) -> Photo:
        """See `PhotoDecoder`."""
        if len(data) > self._max_bytes:
            raise TooLarge(f"a photo of {len(data)} bytes; at most {self._max_bytes} are accepted")
        request = {"do": "photo", "rules": self._rules, "geometries": [asdict(each) for each in geometries]}
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
