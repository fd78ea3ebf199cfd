"""HTTP: the body of a request, and the file in it: the bytes themselves, the one file of a form, or base64 in JSON."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from bonafide.api.form_file import SPARE_BYTES, FormFile
from bonafide.api.json_extent import require_one_value
from bonafide.base64_text import decode_base64
from bonafide.byte_budget import ByteBudget, declared_bytes
from bonafide.errors import InvalidRequest, UnsupportedMediaType
from bonafide.security.caller import current_caller

AUDIO_TYPES = ("audio/", "video/", "application/ogg", "application/mp4")
PHOTO_TYPES = ("image/",)
MAX_JSON_FILE_BYTES = 16 * 1024 * 1024
"""Of a file in base64, which is held several times while it is read; larger ones must come as they are."""
_BYTES = ("application/octet-stream", "binary/octet-stream")
_FORM = "multipart/form-data"
_FORM_FIELDS = "application/x-www-form-urlencoded"
_FORM_TEXT = re.compile(rb"[!-<>-~]*=[!-~]*")
_LOOKED_AT = 64 * 1024
_UTF8_BOM = b"\xef\xbb\xbf"
_MOST_OF_A_NAME = 100
"""Characters of a caller's field in a message."""


class JsonBody(BaseModel):
    """A JSON body: a field of another type or name is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _with_one_unknown(cls, document: Any) -> Any:
        """Keeps the first unknown field alone: pydantic describes each, for seconds where a body has a million."""
        if not isinstance(document, dict):
            return document
        unknown = next((name for name in document if name not in cls.model_fields), None)
        return {name: value for name, value in document.items() if name in cls.model_fields or name == unknown}


Document = TypeVar("Document", bound=JsonBody)


class CallerGone(asyncio.CancelledError):
    """The caller closed the connection; its work is cancelled."""


class EncodedFile(JsonBody):
    """A file as JSON."""

    data: str


def body(request: Request, budget: ByteBudget, limit: int) -> AbstractAsyncContextManager[bytearray]:
    """The bytes of the body, at most `limit`, counted while they arrive.

    Raises:
        UnsupportedMediaType: they are compressed.
    """
    _refuse_encoding(request)
    return budget.collect(_received(request), limit, _declared_bytes(request), current_caller())


@asynccontextmanager
async def file_in_body(
    request: Request,
    budget: ByteBudget,
    limit: int,
    types: tuple[str, ...],
    fields: dict[str, list[str]] | None = None,
) -> AsyncIterator[bytearray]:
    """The file that a request brings, counted in the budget for the duration of the block.

    Args:
        request: unread so far.
        budget: of all bytes held.
        limit: most bytes of the file.
        types: beginnings of the content types that such a file has.
        fields: names of a form's fields, with lists to which their values are appended.

    Raises:
        InvalidRequest: a form or JSON that does not hold one file.
        TooLarge: the file, or what surrounds it.
        UnsupportedMediaType: another content type, or a compressed body.
    """
    content_type = request.headers.get("content-type", "")
    form: FormFile | None = None
    file: AbstractAsyncContextManager[bytearray]
    media = _media_type(request)
    if media == _FORM:
        form = FormFile(content_type, fields or ())
        file = file_in_form(request, budget, limit, form)
    elif media == "application/json":
        limit = min(limit, MAX_JSON_FILE_BYTES)
        file = budget.collect(_decoded(request, budget, limit), limit, caller=current_caller())
    elif not media or media in (*_BYTES, _FORM_FIELDS) or media.startswith(types):
        file = body(request, budget, limit)
    else:
        raise UnsupportedMediaType(
            f"the content type {media[:100]!r} is none of such a file; send its bytes as application/octet-stream, "
            "a form (multipart/form-data) with the file, or JSON with its base64"
        )
    async with file as data:
        for name, values in form.fields.items() if form is not None else ():
            if fields is not None:
                fields[name] += values
        # What `curl --data-binary` sends carries this type too, whatever it is.
        if media == _FORM_FIELDS and _FORM_TEXT.fullmatch(data[:_LOOKED_AT]):
            raise UnsupportedMediaType(f"a form of the type {_FORM_FIELDS} holds no file; multipart/form-data does")
        yield data


def is_form(request: Request) -> bool:
    """Whether the body is announced as a form (multipart/form-data)."""
    return _media_type(request) == _FORM


def file_in_form(
    request: Request, budget: ByteBudget, limit: int, form: FormFile
) -> AbstractAsyncContextManager[bytearray]:
    """The bytes of a form's file, at most `limit`, counted while they arrive; then the form knows its fields.

    Raises:
        BonafideError: as `FormFile.of` and `body`.
    """
    _refuse_encoding(request)
    declared = max(0, _declared_bytes(request) - SPARE_BYTES)
    return budget.collect(form.of(_received(request)), limit, declared, current_caller())


async def _decoded(request: Request, budget: ByteBudget, limit: int) -> AsyncIterator[bytes]:
    """The file in a JSON body, in one part."""
    async with body(request, budget, limit * 3 // 2 + SPARE_BYTES) as text:
        require_one_value(text)
        try:
            data = decode_base64(read_json(EncodedFile, text).data)
        except ValueError as error:
            raise InvalidRequest("data: neither base64 nor a data URL of it") from error
    yield data


def read_json(kind: type[Document], text: bytes | bytearray) -> Document:
    """A JSON document of this kind; a byte order mark, which some programs write, counts for nothing.

    Raises:
        InvalidRequest: it is another document, or none, or has a field several times; the message names the field.
    """
    text = text.removeprefix(_UTF8_BOM)
    try:
        document = kind.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from error
    # A gateway that reads the first of two fields of a name would allow another bucket than the one that is read here.
    json.loads(text, object_pairs_hook=_once, parse_int=str)
    return document


def _once(fields: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in fields:
        if name in seen:
            raise InvalidRequest(f"{name[:_MOST_OF_A_NAME]}: the document has several")
        seen.add(name)


def read_fields(kind: type[Document], fields: dict[str, list[str]]) -> Document:
    """The fields of a form as the JSON document that they stand for.

    Raises:
        InvalidRequest: it is no such document, or a field comes more than once; the message names the field.
    """
    for name, values in fields.items():
        if len(values) > 1:
            raise InvalidRequest(f"{name}: the form has several")
    try:
        return kind.model_validate({name: values[0] for name, values in fields.items()})
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:_MOST_OF_A_NAME] or "the body"
    return InvalidRequest(f"{where}: {first['msg']}")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"the content encoding {encoding[:100]!r} is not understood; send the bytes as they are"
        )


async def _received(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except ClientDisconnect as error:
        raise CallerGone from error


def _declared_bytes(request: Request) -> int:
    return declared_bytes(request.headers.get("content-length", ""))
