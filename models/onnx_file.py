"""An untrusted ONNX file before anything parses it: its size, and which other files it would have read.

Walks protobuf's wire format over a mapped file, and skips the weights. Fields are numbered as in onnx.proto.
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.errors import UnsupportedModel

_MAX_BYTES = 2 << 30
"""Of the file itself: protobuf has no larger messages."""
_MAX_EXTERNAL_BYTES = 16 << 30
_MAX_FIELDS = 3_000_000
"""That are looked at: a few seconds' work. Graphs of a billion parameters have some 100,000."""
_MAX_DEPTH = 40

_MAX_NAME = 4096
_FIELD_NUMBERS = 1 << 29

_Schema = Mapping[int, "str"]
# By message: in which of its fields other messages lie that may name a file.
_INSIDE: Mapping[str, _Schema] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
_KEY, _VALUE = 1, 2


class _Torn(ValueError):
    """Not the wire format of protobuf."""


def check_onnx(path: Path) -> list[Path]:
    """Refuses a file that is too large or reads outside of its folder.

    Args:
        path: of an ONNX file.

    Returns:
        The file, and those beside it that hold its weights.

    Raises:
        UnsupportedModel: too large, no ONNX, or its weights are to be read from elsewhere.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or not 0 < size <= _MAX_BYTES:
            raise UnsupportedModel(
                f"{path} is no file of 1 byte to {_MAX_BYTES >> 30} GiB, so it is not read as ONNX; export it again"
            )
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as content,
        ):
            names = _Walk(content).files()
    except OSError as error:
        raise UnsupportedModel(f"{path} cannot be read: {error.strerror or error}; export it again") from error
    except _Torn as error:
        raise UnsupportedModel(f"{path} is no ONNX file, or a torn one: {error}; export it again") from error
    beside = [_inside(path.parent, name) for name in sorted(names)]
    if sum(file.stat().st_size for file in beside) > _MAX_EXTERNAL_BYTES:
        raise UnsupportedModel(
            f"the weights beside {path.name} have more than {_MAX_EXTERNAL_BYTES >> 30} GiB; export it smaller"
        )
    return [path, *beside]


def _inside(folder: Path, name: str) -> Path:
    """The file of that name, which must lie in the folder."""
    root = folder.resolve()
    try:
        found = (root / name).resolve(strict=True)
        if found.is_relative_to(root) and found.is_file() and not Path(name).is_absolute():
            return found
    except (OSError, ValueError, RuntimeError):  # missing, a zero byte, links in a circle
        pass
    raise UnsupportedModel(
        f"the ONNX file reads weights from {name[:100]!r}, which is no file within its folder; "
        "save it again with its weights inside or beside it"
    )


class _Walk:
    """Collects the names of files with external data."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._fields = 0
        self._names: set[str] = set()

    def files(self) -> set[str]:
        """Raises `_Torn`."""
        self._message("model", 0, len(self._content), 0)
        return self._names

    def _message(self, kind: str, start: int, end: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _Torn("graphs lie in each other too deep")
        inside = _INSIDE[kind]
        for number, first, last in self._parts(start, end):
            if (inner := inside.get(number)) == "entry":
                self._entry(first, last)
            elif inner is not None:
                self._message(inner, first, last, depth + 1)

    def _entry(self, start: int, end: int) -> None:
        if end - start > _MAX_NAME:
            raise _Torn("the name of a file is longer than any")
        texts = {number: bytes(self._content[first:last]) for number, first, last in self._parts(start, end)}
        if texts.get(_KEY) == b"location":
            try:
                self._names.add(texts.get(_VALUE, b"").decode())
            except UnicodeDecodeError as error:
                raise _Torn("the name of a file is no text") from error

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each field that has a length; the others hold single numbers."""
        at = start
        while at < end:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise _Torn("more parts than any model has")
            tag, at = self._number(at, end)
            wire = tag & 7
            if tag >> 3 >= _FIELD_NUMBERS:  # a parser that cuts it to 32 bit would take it for another field
                raise _Torn("a part of unknown kind")
            if wire == 0:
                _, at = self._number(at, end)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                length, at = self._number(at, end)
                if length > end - at:
                    raise _Torn("it ends in the middle")
                yield tag >> 3, at, at + length
                at += length
            else:
                raise _Torn("a part of unknown kind")
        if at != end:
            raise _Torn("it ends in the middle")

    def _number(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = self._content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise _Torn("a number has no end")
