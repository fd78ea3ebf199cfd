"""A decoding process: reads files that the service sends and replies with windows or pixels, step by step.

It has neither the service's environment nor its connections, and imports no torch, no BentoML and no OpenVINO.
"""

import socket
import traceback
from collections.abc import Callable
from typing import Any

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.codec_reader import CodecReader
from bonafide.audio.container_reader import ContainerReader
from bonafide.audio.mono import joined
from bonafide.audio.reader import AudioLimits, AudioReader, Window
from bonafide.decoders import codec
from bonafide.decoders.frames import Frame, packed, read_frame
from bonafide.decoders.limits import CpuBound, bound_memory
from bonafide.errors import BonafideError, UnreadableMedia
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from models.info import ImageGeometry

Reply = tuple[dict[str, Any], bytes | memoryview]

_MAX_BLOCKS = 4_096
"""Of one part. Two every 0.1 s, where gaps are filled, make 1,200 in a minute; the places of these fill 100 kB."""


def serve(connection: socket.socket) -> None:
    """Replies to each message with one, until the service closes the connection."""
    job: Job | None = None
    with connection, connection.makefile("rb") as stream:
        bounded = False
        while (frame := read_frame(stream)) is not None:
            if not bounded:
                bound_memory(int(frame.header["memory"]))
                bounded = True
            try:
                if (begin := _JOBS.get(frame.header["do"])) is not None:
                    job = None  # frees the file before
                    job = begin(frame)
                if job is None:
                    raise RuntimeError(f"no file is open for {frame.header['do']}")
                header, payload = job.answer(frame)
            except BonafideError as error:
                header, payload = {"error": error.code.value, "message": error.message}, b""
            except MemoryError:
                header, payload = {"error": UnreadableMedia.code.value, "message": _TOO_MUCH_MEMORY, "worn": True}, b""
            except Exception:
                header, payload = {"bug": traceback.format_exc()}, b""
            del frame
            if "error" in header or "end" in header:
                job = None
            try:
                connection.sendall(b"".join((packed(header, len(payload)), payload)))
            except OSError:  # the service has ended, or cancelled the file
                return


_TOO_MUCH_MEMORY = "the file takes too much memory to decode"


class AudioJob:
    """A recording; each reply has its next windows, and the last of them its end.

    Fewer windows than were asked for are the last ones, unless the sample rate changes. So the next step follows in the
    same reply, whose round trip costs as much as decoding four seconds.
    """

    def __init__(self, frame: Frame) -> None:
        header = frame.header
        self._reader = AudioReader(
            bytes(frame.payload),
            AudioLimits(**header["limits"]),
            header["windows"],
            header["before"],
            hop_s=header["hop_s"],
            mode=ChannelMode.parse(header["channel_mode"]),
        )
        self._bound = CpuBound(len(frame.payload), header["windows"])
        self._most: int = header["windows"]
        self._ahead: list[Window] | BonafideError | None = None

    def answer(self, _: Frame) -> Reply:
        """The next windows, the end, or both."""
        self._bound.begin_step(self._reader.seconds)
        windows, self._ahead = self._ahead, None
        if isinstance(windows, BonafideError):
            raise windows
        windows = windows or next(self._reader, None)
        is_end = windows is None
        if windows is not None and len(windows) < self._most:
            try:
                self._ahead = next(self._reader, None)
                is_end = self._ahead is None
            except BonafideError as error:
                self._ahead = error  # after these windows
        reader = self._reader
        state: dict[str, Any] = {
            "seconds": reader.seconds,
            "warnings": reader.warnings,
            "conditions": reader.conditions,
            "channel_conditions": list(reader.channel_conditions.items()),
        }
        if is_end:
            state["end"] = True
        if windows is None:
            return state, b""
        places, samples = codec.packed_windows(windows)
        return {"windows": places, **state}, samples


class PhotoJob:
    """A photo; one reply has the model's input, the faces and the reason not to rely on the verdict."""

    def __init__(self, frame: Frame) -> None:
        CpuBound(len(frame.payload), readings=2).begin_step()  # a second time where a face is small
        reader = PhotoReader(PhotoRules.from_dict(frame.header["rules"]))
        geometries = [ImageGeometry.from_dict(each) for each in frame.header["geometries"]]
        self._photo = reader.read(bytes(frame.payload), *geometries)

    def answer(self, _: Frame) -> Reply:
        """See `bonafide.photo.preparation.Photo`."""
        header, pixels = codec.packed_photo(self._photo)
        return {"end": True, **header}, pixels


class ContainerJob:
    """A live container, or a codec without one, part by part; each reply has the audio of its part."""

    def __init__(self, frame: Frame) -> None:
        limits, most_s = AudioLimits(**frame.header["limits"]), frame.header["most_s"]
        bare = frame.header.get("codec")
        self._mode = ChannelMode.parse(frame.header["channel_mode"])
        self._reader: ContainerReader | CodecReader = (
            ContainerReader(limits, most_s) if bare is None else CodecReader(bare, limits, most_s)
        )
        self._bound = CpuBound(0)

    def answer(self, frame: Frame) -> Reply:
        """The blocks that the part completes; with "finish" those that were held back, and the end."""
        self._bound.begin_step(self._reader.seconds, len(frame.payload))
        reader, is_end = self._reader, frame.header["do"] == "finish"
        try:
            blocks = reader.finish() if is_end else reader.feed(bytes(frame.payload))
        except BaseException:
            self._reader.close()
            raise
        blocks = joined(blocks)
        if len(blocks) > _MAX_BLOCKS:
            reader.close()
            raise UnreadableMedia("the channels of the audio change again and again")
        places, samples = codec.packed_blocks(blocks, self._mode)
        state: dict[str, Any] = {"blocks": places, "warnings": reader.warnings}
        state["lossy"] = isinstance(reader, CodecReader) or reader.lossy
        return {**state, "end": True} if is_end else state, samples


Job = AudioJob | PhotoJob | ContainerJob
_JOBS: dict[str, Callable[[Frame], Job]] = {"audio": AudioJob, "photo": PhotoJob, "container": ContainerJob}
