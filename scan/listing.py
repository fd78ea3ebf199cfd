"""The objects that a scan looks at: all below its source, or those of a list of keys, but not its own result."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bonafide.settings import Settings
from scan.names import as_text
from scan.options import Options
from scan.retries import retried, retried_async
from scan.schema import RECORDINGS_FOLDER, WINDOWS_FOLDER
from scan.source import S3, Entry, Source, WrongUse


def listed(source: Source, options: Options, settings: Settings) -> Iterator[Entry]:
    """The objects, each once.

    Raises:
        WrongUse: a listed key lies in another bucket, or the result where the archive does.
        StorageGone: the storage does not answer.
    """
    own = _own_prefix(source, options.out, settings)
    if options.keys is None:
        found = retried(lambda: list(source.entries(settings)), options.patience_s, "listing the archive")
    else:
        keys = list(dict.fromkeys(source.key_of(line) for line in options.keys))
        found = asyncio.run(_looked_up(source, keys, options, settings))
    return (entry for entry in found if own is None or not entry.key.startswith(own))


async def _looked_up(source: Source, keys: list[str], options: Options, settings: Settings) -> list[Entry]:
    store, bucket = source.open(settings, options.task)
    found = []
    try:
        for key in keys:
            found.append(
                await retried_async(partial(source.look_up, key, store, bucket), options.patience_s, "looking up keys")
            )
    finally:
        await store.close()
    return found


def _own_prefix(source: Source, out: str, settings: Settings) -> str | None:
    """What the keys of the result's own files begin with, where it lies in the archive."""
    if source.folder is not None:
        place = (settings.objects_dir / out.removeprefix(S3) if out.startswith(S3) else Path(out)).resolve()
        if any(source.folder.is_relative_to(place / each) for each in (RECORDINGS_FOLDER, WINDOWS_FOLDER)):
            raise WrongUse(f"a result in {out} would have its files in the archive: name another place")
        if not place.is_relative_to(source.folder):
            return None
        own = "" if place == source.folder else as_text(place.relative_to(source.folder).as_posix())
    else:
        bucket, _, own = out.removeprefix(S3).partition("/")
        if not out.startswith(S3) or bucket != source.bucket:
            return None
    own = own.strip("/")
    if not own or f"{source.prefix}/".startswith(f"{own}/"):
        raise WrongUse(f"{out} is the archive itself, or holds it: name a place below it, or another one")
    return f"{own}/"
