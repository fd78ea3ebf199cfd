"""One recording within a file, which may hold several that were joined: which bytes are its own. Plain data."""

from typing import NamedTuple


class Part(NamedTuple):
    """Where a recording lies in the bytes of a file, and how FFmpeg is to read it.

    FFmpeg is given `prefix`, then the bytes from `body` to `end`.

    Attributes:
        demuxers: FFmpeg demuxer names; one, or several among which FFmpeg probes.
        body: offset of the first byte behind what `prefix` replaces.
        end: offset behind the last byte.
        prefix: a header that replaces the recording's own.
        missing: bytes that its sizes promise behind `end`; None when they do not tell.
        is_cut: it ends within something that cannot be read without its end.
        stated: bytes from `body` on that its header states although there are more; None when it is right.
        media: bytes of it that hold nothing but frames of its streams; None when that is not known.
        longest_packet: bytes of the longest, if its header states them.
        tags: offsets of tags among its frames, and behind them, in order.
    """

    demuxers: tuple[str, ...]
    body: int
    end: int
    prefix: bytes = b""
    missing: int | None = None
    is_cut: bool = False
    stated: int | None = None
    media: int | None = None
    longest_packet: int | None = None
    tags: tuple[tuple[int, int], ...] = ()
