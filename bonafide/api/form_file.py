"""The one file of a form (multipart/form-data), taken out while the form arrives."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bonafide.errors import InvalidRequest, TooLarge, UnsupportedMediaType

SPARE_BYTES = 64 * 1024
"""Of a form, besides its file: other fields, headers, boundaries."""
_MAX_PARTS = 100
_MOST_OF_A_FIELD = 100
"""Characters; no valid value is longer."""
_FILE_NAME = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)
_PLAIN = {b"", b"binary", b"7bit", b"8bit", b"identity"}


class FormFile:
    """Reads one form. Its file is the part with a file name; of the fields without one the wanted ones are kept.

    Args:
        content_type: of the request, which names the boundary.
        wanted: names of fields.

    Attributes:
        fields: the wanted ones that came so far, each with its values in order.

    Raises:
        InvalidRequest: it names none.
    """

    def __init__(self, content_type: str, wanted: Collection[str] = ()) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 1 <= len(boundary) <= 70:  # as RFC 2046 has it
            raise InvalidRequest("the content type of a form must name its boundary, of 1 to 70 characters")
        self._delimiter = b"--" + boundary
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._take_header,
                "on_part_data": self._take_data,
                "on_end": self._end,
            },
        )
        self._name, self._value = bytearray(), bytearray()
        self._out: list[bytes] = []
        self._parts = self._delimiters = 0
        self.fields: dict[str, list[str]] = {}
        self._wanted = frozenset(wanted)
        self._field: str | None = None
        self._is_file = self._named = self._ended = False
        self._file: int | None = None

    async def of(self, body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The bytes of the file, as they arrive.

        Raises:
            InvalidRequest: not a form, or one without a file, with several, or cut off.
            TooLarge: too much besides the file.
            UnsupportedMediaType: the file is encoded.
        """
        others = 0
        async for received in body:
            # Lines that merely begin like a boundary cost the parser as much as many parts.
            self._delimiters += received.count(self._delimiter)
            if self._delimiters > _MAX_PARTS:
                raise InvalidRequest(f"the form has more than {_MAX_PARTS} parts")
            try:
                self._parser.write(received)
            except FormParserError as error:
                raise InvalidRequest("the body is not the form that its content type announces") from error
            out, self._out = b"".join(self._out), []
            others += len(received) - len(out)
            if others > SPARE_BYTES:
                raise TooLarge(f"the form has more than {SPARE_BYTES} bytes besides its file")
            if out:
                yield out
        if not self._ended:
            raise InvalidRequest("the form is cut off")
        if not self._named:
            raise InvalidRequest("the form has no file: a part with a filename")

    def _begin(self) -> None:
        self._parts += 1
        self._is_file = False
        self._field = None

    def _take_header(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        if name == b"content-disposition" and _FILE_NAME.search(value):
            self._is_file = self._named = True
        elif name == b"content-disposition":
            field = parse_options_header(value)[1].get(b"name", b"").decode(errors="replace")
            if field in self._wanted:
                self._field = field
                self.fields.setdefault(field, []).append("")
        elif name in (b"content-transfer-encoding", b"content-encoding") and value.strip().lower() not in _PLAIN:
            raise UnsupportedMediaType("a form's file must be sent as it is, not encoded")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is not None:
            values = self.fields[self._field]
            values[-1] = (values[-1] + data[start:end].decode(errors="replace"))[:_MOST_OF_A_FIELD]
        if not self._is_file:
            return
        if self._file not in (None, self._parts):
            raise InvalidRequest("the form has several files; send one with each request")
        self._file = self._parts  # one without bytes is what a browser sends for a field that was left empty
        self._out.append(data[start:end])

    def _end(self) -> None:
        self._ended = True
