"""What reading a file found besides its audio: joined parts, truncated ones, bytes that nobody read. As sentences."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Self

from bonafide.audio.part import Part

_TOLERANCE_S = 0.3  # an encoder may count its own delay
_MISSING_TOLERANCE_S = 0.05  # a size that counts the header, too
_LEAST_UNREAD = 1 << 14
"""Bytes that are in no packet: tags, index frames. More than these, and than a twentieth, are something else."""
_RAW_FORMATS = frozenset({"mp3", "aac", "flac", "amr"})


@dataclass
class Reading:
    """What was seen while one part was decoded.

    Attributes:
        seconds: of its audio, with filled gaps.
        promised_s: duration that the container states, if it does. Untrusted.
        alone: there is no other stream beside the audio.
        packet_bytes: bytes of the packets that could be decoded.
        damaged: packets that could not be decoded, but for the last.
        torn: the last packet, or what was before the end, was broken.
        errors: times that the container could not be read on.
        rest: bytes at its end that FFmpeg has not read.
        is_whole: its samples were read to the last without FFmpeg.
        unplayed_s: seconds that the container says are not to be played, and that were decoded. Untrusted.
        longest_packet: bytes of a packet behind which something else was taken for its end; None if not known.
        tags: places of tags that are taken for packets, and behind them, in order, counted as packets' positions are.
    """

    seconds: float = 0.0
    promised_s: float | None = None
    alone: bool = True
    packet_bytes: int = 0
    damaged: int = 0
    torn: bool = False
    errors: int = 0
    rest: int = 0
    is_whole: bool = False
    unplayed_s: float = 0.0
    longest_packet: int | None = None
    tags: Sequence[tuple[int, int]] = ()

    @classmethod
    def of(cls, part: Part) -> Self:
        """Nothing was seen yet."""
        return cls(longest_packet=part.longest_packet, tags=[(at - part.body, to - part.body) for at, to in part.tags])

    def is_tag(self, position: int | None) -> bool:
        """Whether what begins at a position is no packet but part of a tag."""
        if position is None:
            return False
        before = bisect_right(self.tags, position, key=itemgetter(0))
        return before > 0 and position < self.tags[before - 1][1]

    def count(self, packet_bytes: int) -> None:
        """Counts a packet that could be decoded."""
        self.packet_bytes += packet_bytes if self.longest_packet is None else min(packet_bytes, self.longest_packet)


@dataclass
class Findings:
    """Collects what was seen in all parts of a file.

    Attributes:
        parts: that were read.
        unread: bytes that were not.
        unfilled_s: seconds of gaps for which there is no silence.
    """

    parts: int = 0
    unread: int = 0
    unfilled_s: float = 0.0
    _damaged: int = 0
    _unplayed_s: float = 0.0
    _truncated: list[str] = field(default_factory=list)
    _understated: list[str] = field(default_factory=list)

    def add(self, part: Part, reading: Reading, ends_at_s: float) -> None:
        """Adds a part.

        Args:
            part: its place in the file.
            reading: what was seen.
            ends_at_s: seconds of the file up to its end.
        """
        unread = _unread(part, reading)
        self.unread += unread
        self.parts += 1
        self._damaged += reading.damaged
        self._unplayed_s += min(reading.unplayed_s, reading.seconds)
        if part.missing is None:
            promised_s = reading.promised_s if reading.alone else None
            too_short = promised_s is not None and promised_s > reading.seconds + _TOLERANCE_S
            is_torn = too_short or reading.torn or reading.errors > 0
            truncated = part.is_cut or (is_torn and not unread)
            promised_s = promised_s if too_short else None
        else:
            missing_s = reading.seconds * part.missing / max(1, part.end - part.body)
            truncated = missing_s > _MISSING_TOLERANCE_S
            promised_s = reading.seconds + missing_s if part.demuxers == ("wav",) else None
            if not part.missing:
                self._damaged += reading.errors + reading.torn
        if truncated:
            promise = "" if promised_s is None else f" (its header promises {promised_s:.1f} s)"
            self._truncated.append(f"{ends_at_s:.1f} s{promise}")
        elif part.stated is not None:
            stated_s = reading.seconds * part.stated / max(1, part.end - part.body)
            self._understated.append(f"{stated_s:.1f} s, but {reading.seconds - stated_s:.1f} s more follow")

    def warnings(self, file_bytes: int) -> list[str]:
        """Sentences for the caller, of a file of so many bytes."""
        found = []
        if self._damaged:
            found.append(f"damaged packets that were skipped: {self._damaged}")
        if self.parts > 1:
            found.append(f"the file holds {self.parts} recordings that were joined; all were judged")
        if self._understated:
            found.append(f"the header states {self._understated[0]}; all was judged")
        if self._truncated:
            several = f"{len(self._truncated)} parts of " if len(self._truncated) > 1 else ""
            found.append(f"{several}the file is truncated after {self._truncated[0]}; what could be read was judged")
        if self._unplayed_s:
            found.append(f"{self._unplayed_s:.1f} s are not to be played, as the file says; they were judged, too")
        if self.unfilled_s:
            found.append(
                f"gaps of {self.unfilled_s:.1f} s were too long to be filled with silence; "
                "windows after them lie that much too early"
            )
        if self.unread:
            found.append(
                f"unread_bytes: {self.unread} of {file_bytes} bytes were not read; audio in them was not judged"
            )
        return found


def _unread(part: Part, reading: Reading) -> int:
    media = part.end - part.body if part.media is None else part.media
    if _RAW_FORMATS.issuperset(part.demuxers):
        left, rest = media - reading.packet_bytes, reading.rest
    elif part.media is not None:
        left, rest = (media - reading.packet_bytes if reading.alone else 0), 0
    else:
        left, rest = 0, reading.rest
    return left if left > max(_LEAST_UNREAD, media // 20) else rest
