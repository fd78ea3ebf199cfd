"""The format of a media file by its first bytes, as one of a few words: for measurements, decides nothing."""

_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"),
    (8, b"WEBP", "webp"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"#!AMR", "amr"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"\xff\xf3", "mp3"),
    (0, b"\xff\xf2", "mp3"),
    (0, b"\xff\xfa", "mp3"),
    (0, b"\x89PNG", "png"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
)
_WAV_CODECS = {1: "wav", 3: "wav", 0xFFFE: "wav", 6: "alaw", 7: "mulaw"}
_UNKNOWN = "other"


def media_format(data: bytes | bytearray) -> str:
    """The name of a container or codec; "other" for what is none of these. Of WAV files G.711 is told apart."""
    for offset, literal, name in _BEGINNINGS:
        if data[offset : offset + len(literal)] == literal:
            return _wav_codec(bytes(data[:64])) if name == "wav" else name
    return _UNKNOWN


def _wav_codec(head: bytes) -> str:
    """What the `fmt ` chunk says, where it is the first as usual."""
    code = int.from_bytes(head[20:22], "little") if head[12:16] == b"fmt " else 1
    return _WAV_CODECS.get(code, _UNKNOWN)
