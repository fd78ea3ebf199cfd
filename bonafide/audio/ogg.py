"""Ogg: how far one chain of streams reaches, by its pages."""

from bonafide.audio import magic
from bonafide.audio.part import Part

_PAGE, _HEADER_BYTES = b"OggS\0", 27
_CONTINUED = 255  # length of the last segment of a packet that goes on in the next page
# What looks like the beginning of a FLAC file may be the header of FLAC in Ogg.
_OTHERS = (magic.WAV, magic.W64, magic.MATROSKA, magic.MP4, magic.AMR)


def ogg_part(data: bytes, start: int) -> Part:
    """The chain that begins at `start`: to the first page of the next, or to the end of the last page."""
    later = magic.find(data, magic.OGG_LATER_PAGE, start)
    limit = len(data) if later < 0 else magic.end_before(data, (magic.OGG,), later)
    limit = magic.end_before(data, _OTHERS, start, limit)
    page = data.rfind(_PAGE, start, limit)
    lengths = data[page + _HEADER_BYTES : page + _HEADER_BYTES + data[page + 26]] if page + 26 < limit else b""
    end = page + _HEADER_BYTES + len(lengths) + sum(lengths)
    if not lengths or len(lengths) < data[page + 26] or end > limit or lengths[-1] == _CONTINUED:
        return Part(("ogg",), start, limit, is_cut=True)
    return Part(("ogg",), start, end, missing=0)
