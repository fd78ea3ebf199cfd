"""The one file of a form (multipart/form-data), taken out while the form arrives."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bonafide.errors import InvalidRequest, TooLarge, UnsupportedMediaType

SPARE_BYTES = 64 * 1024
"""Of a form, besides its file: other fields, headers, boundaries."""
_MAX_PARTS = 100
_MOST_OPTIONS = 5_000
"""Of all headers of a form, each of which has two or three: to parse what fits into 64 KB takes a fifth of a second."""
_MOST_OF_A_FIELD = 100
"""Bytes, unless the reader of a form says otherwise."""
_FILE_NAME = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)
_PLAIN = {b"", b"binary", b"7bit", b"8bit", b"identity"}


class FormFile:
    """Reads one form. Its file is the part with a file name; of the fields without one the wanted ones are kept.

    Args:
        content_type: of the request, which names the boundary.
        wanted: names of fields.
        file_field: name of the part that is the file, with a file name or not; parts that are neither it nor wanted are
            then refused. None: they are passed over.
        most: bytes of a wanted field; no valid value is longer.

    Raises:
        InvalidRequest: it names none.
    """

    def __init__(
        self,
        content_type: str,
        wanted: Collection[str] = (),
        *,
        file_field: str | None = None,
        most: int = _MOST_OF_A_FIELD,
    ) -> None:
        self._seen_options = 0
        boundary = self._options(content_type.encode("latin-1")).get(b"boundary", b"")
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
        self._fields: dict[str, list[bytearray]] = {}
        self._wanted = frozenset(wanted)
        self._file_field = file_field
        self._most = most
        self._field: str | None = None
        self._is_file = self._named = self._ended = False
        self._file: int | None = None

    @property
    def fields(self) -> dict[str, list[str]]:
        """The wanted fields that came so far, each with its values in order.

        Raises:
            InvalidRequest: one is not UTF-8.
        """
        return {name: [_text(name, value) for value in values] for name, values in self._fields.items()}

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
                raise TooLarge(f"the form has more than {SPARE_BYTES} bytes besides its file, {self._known_by()}")
            if out:
                yield out
        if not self._ended:
            raise InvalidRequest("the form is cut off")
        if not self._named:
            raise InvalidRequest(f"the form has no file: {self._known_by()}")

    def _known_by(self) -> str:
        return "a part with a filename" if self._file_field is None else f"the part {self._file_field!r}"

    def _begin(self) -> None:
        self._parts += 1
        self._is_file = False
        self._field = None

    def _take_header(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        if name == b"content-disposition":
            self._take_disposition(value)
        elif name in (b"content-transfer-encoding", b"content-encoding") and value.strip().lower() not in _PLAIN:
            raise UnsupportedMediaType("a form's file must be sent as it is, not encoded")

    def _take_disposition(self, value: bytes) -> None:
        field = self._options(value).get(b"name", b"").decode(errors="replace")
        has_file_name = _FILE_NAME.search(value) is not None
        if has_file_name if self._file_field is None else field == self._file_field:
            self._is_file = self._named = True
        elif field in self._wanted and not has_file_name:
            self._field = field
            self._fields.setdefault(field, []).append(bytearray())
        elif self._file_field is not None:
            raise InvalidRequest(f"the form has a part {field[:100]!r}, which is none of those known here")

    def _options(self, header: bytes) -> dict[bytes, bytes]:
        self._seen_options += header.count(b";")
        if self._seen_options > _MOST_OPTIONS:
            raise InvalidRequest(f"the headers of the form have more than {_MOST_OPTIONS} options")
        return parse_options_header(header)[1]

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is not None:
            value = self._fields[self._field][-1]
            value += data[start:end]
            if len(value) > self._most:
                raise InvalidRequest(f"{self._field}: more than {self._most} bytes")
        if not self._is_file:
            return
        if self._file not in (None, self._parts):
            raise InvalidRequest("the form has several files; send one with each request")
        self._file = self._parts  # one without bytes is what a browser sends for a field that was left empty
        self._out.append(data[start:end])

    def _end(self) -> None:
        self._ended = True


def _text(name: str, value: bytearray) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: not UTF-8") from None
