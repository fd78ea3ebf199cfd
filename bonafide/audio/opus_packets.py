"""Opus packets in a stream of bytes, each behind its length: two bytes, big-endian, as in RFC 4571."""

from bonafide.errors import UnreadableMedia

PREFIX_BYTES = 2
MAX_PACKET_BYTES = 8_192
"""The longest packet of libopus, 120 ms at its highest rate, has 7.7 kB."""


class OpusPackets:
    """Cuts the bytes of one stream into packets; keeps those of an incomplete one, less than `MAX_PACKET_BYTES` + 2."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are complete now.

        Args:
            data: the next bytes, cut anywhere.

        Raises:
            UnreadableMedia: a length of 0, or more than a packet may have.
        """
        data = self._rest + data
        packets, at = [], 0
        while at + PREFIX_BYTES <= len(data):
            size = int.from_bytes(data[at : at + PREFIX_BYTES], "big")
            if not 0 < size <= MAX_PACKET_BYTES:
                raise UnreadableMedia(
                    f"an Opus packet of {size} bytes; each has 1 to {MAX_PACKET_BYTES}, "
                    f"behind its length in {PREFIX_BYTES} bytes, big-endian"
                )
            begin = at + PREFIX_BYTES
            if begin + size > len(data):
                break
            packets.append(data[begin : begin + size])
            at = begin + size
        self._rest = data[at:]
        return packets

    @property
    def incomplete(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._rest)
