"""What a container says is not to be played: the delay of an encoder, or as much of the recording as it likes.

Players leave it out, and so does FFmpeg, by notes beside its packets. A delay is left out here, too; what is longer is
audio that the file holds, and is decoded.
"""

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

_LONGEST_S = 0.5
"""Of a recording; the delays of AAC and MP3 encoders, at both ends and 8 kHz, are together less."""
_NOTE: Final = "skip_samples"
_COUNTS = struct.Struct("<II")
"""Samples that a note leaves out: from its packet on, and at its packet's end."""


class SkippedSamples:
    """Corrects the packets of one recording, before they are decoded.

    Args:
        rate: samples per second, as the container has it.
        demuxer: FFmpeg's name of the container.

    Attributes:
        refused_s: seconds that were to be left out, and are not. Untrusted: there may be fewer.
    """

    def __init__(self, rate: int, demuxer: str) -> None:
        self.refused_s = 0.0
        self._rate = rate
        # Of MP4, FFmpeg takes the ticks of an edit list for samples, and there may be 200 to a sample.
        self._counts_ticks = demuxer == "mov"
        self._left_out_s = 0.0

    def correct(self, packet: "Packet[AudioStream]") -> None:
        """Changes the packet's note, if it has one, to leave out a delay at most."""
        if not packet.has_sidedata(_NOTE):
            return
        note = packet.get_sidedata(_NOTE)
        said = begin, end = _COUNTS.unpack_from(note)
        if self._counts_ticks and packet.pts is not None:
            begin = min(begin, max(0, round(-packet.pts * packet.time_base * self._rate)))
        seconds = (begin + end) / self._rate
        if self._left_out_s + seconds <= _LONGEST_S:
            self._left_out_s += seconds
        else:
            self.refused_s += seconds
            begin = end = 0
        if (begin, end) != said:
            note.update(_COUNTS.pack(begin, end) + bytes(note)[_COUNTS.size :])
            packet.set_sidedata(note)
