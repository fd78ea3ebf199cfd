"""A PNG without the chunks that say nothing of its pixels or its orientation. Decodes nothing.

Pillow refuses a whole photo for a long colour profile or note, and for what is damaged beside its pixels.
"""

from zlib import crc32

from bonafide.errors import UnreadableMedia

_MAGIC_BYTES = 8
_MAX_CHUNKS = 65_536
"""The largest photo in pieces of 8 kB, as libpng writes them, has some thousand."""
_AROUND_BODY = 12
"""Bytes of a chunk beside its body: length and name before it, checksum behind."""
_ANCILLARY = 0x20
"""In the first byte of the name of a chunk that a reader may step over."""
_TRANSPARENCY, _EXIF, _TEXT = b"tRNS", b"eXIf", b"iTXt"
_XMP = b"XML:com.adobe.xmp\0"


def without_extras(data: bytes) -> bytes:
    """The PNG's chunks that count, to its end; what is no whole chunk, and all behind it, stays as it is.

    Raises:
        UnreadableMedia: so many chunks that reading them would take longer than the picture.
    """
    kept = [data[:_MAGIC_BYTES]]
    at = first = _MAGIC_BYTES
    chunks = 0
    while at + _AROUND_BODY <= len(data):
        end = at + _AROUND_BODY + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise UnreadableMedia("the PNG has too many chunks")
        if not _counts(data, at, end):
            kept.append(data[first:at])
            first = end
        at = end
    return b"".join([*kept, data[first:]]) if first > _MAGIC_BYTES else data


def _counts(data: bytes, at: int, end: int) -> bool:
    """Whether the chunk between two offsets does; of damaged metadata nothing is believed."""
    name = data[at + 4 : at + 8]
    if name == _EXIF or (name == _TEXT and data.startswith(_XMP, at + 8)):
        return crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
    return not name[0] & _ANCILLARY or name == _TRANSPARENCY
