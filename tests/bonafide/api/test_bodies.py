"""What the body of a request may be: bytes, a form, base64 in JSON; and what is refused by name."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bonafide.api.bodies import EncodedFile, JsonBody, read_json
from bonafide.api.form_file import FormFile
from bonafide.api.http_jobs import WantedJob
from bonafide.app import App
from bonafide.errors import BonafideError, InvalidRequest
from tests.media import encode_image, photo, wav

VOICE = wav(np.full(80_000, 1000, np.int16), 16_000)
PHOTO = encode_image(photo())
BOUNDARY = "----WebKitFormBoundaryABCdef0123456789"


def part(data: bytes, *headers: str) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + data + b"\r\n"


def form(*parts: bytes, boundary: str = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + each for each in parts) + line + end


def file(data: bytes, name: str = "file", filename: str = 'filename="call.wav"') -> bytes:
    return part(data, f'Content-Disposition: form-data; name="{name}"; {filename}', "Content-Type: audio/wav")


NAMED = 'Content-Disposition: form-data; name="f"'
FIELD = part(b"t-1", 'Content-Disposition: form-data; name="task_id"')
EMPTY = part(b"", 'content-disposition: form-data; name="other"; filename=""', "content-type: application/octet-stream")


async def post(client: httpx.AsyncClient, content: Any, content_type: str | None, **headers: str) -> httpx.Response:
    wanted = {**headers, **({"content-type": content_type} if content_type is not None else {})}
    return await client.post("/detect_audio", content=content, headers=wanted)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "audio/wav", "Audio/WebM;codecs=opus", "video/mp4", "application/octet-stream",
        "binary/octet-stream", "application/ogg", "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
    ],
)  # fmt: skip
async def test_the_body_is_the_recording(client: httpx.AsyncClient, content_type: str | None) -> None:
    answer = await post(client, VOICE, content_type)
    assert answer.status_code == 200
    assert answer.json()["audio_seconds"] == 5.0


@pytest.mark.parametrize(
    "content",
    [
        form(file(VOICE)),
        form(file(VOICE), boundary="x"),
        form(FIELD, file(VOICE), FIELD),
        form(EMPTY, file(VOICE), EMPTY),
        form(file(VOICE, filename='filename="a; \\"b.wav"')),
        form(file(VOICE, filename="filename*=UTF-8''%D0%B7.wav")),
        form(part(VOICE, "CONTENT-DISPOSITION:form-data;name=f;FileName=a.wav", "Content-Transfer-Encoding: binary")),
        b"\r\n" + form(file(VOICE), end=b"--\r\nepilogue"),
        form(file(VOICE), end=b"--"),
    ],
    ids=["browser", "short", "fields", "empty inputs", "quotes", "extended", "unusual", "epilogue", "no newline"],
)
@pytest.mark.parametrize("size", [100, 10**6])
async def test_a_form_with_one_file(client: httpx.AsyncClient, content: bytes, size: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(200):
            yield content[start : start + 1]
        for start in range(200, len(content), size):
            yield content[start : start + size]

    boundary = "x" if content.startswith(b"--x\r\n") else BOUNDARY
    answer = await post(client, pieces(), f'multipart/form-data; boundary="{boundary}"')
    assert answer.status_code == 200, answer.text
    assert answer.json()["audio_seconds"] == 5.0


async def test_what_httpx_sends_for_a_file(client: httpx.AsyncClient) -> None:
    answer = await client.post("/detect_audio", files={"file": ("c.wav", VOICE)}, data={"task_id": "t"})
    assert answer.json()["audio_seconds"] == 5.0
    answer = await client.post("/predict_liveness", files={"image": ("face.png", PHOTO, "image/png")})
    assert answer.json()["success"] is True


@pytest.mark.parametrize(
    ("content", "expected", "told"),
    [
        (VOICE, (400, "invalid_request"), "not the form"),
        (b"", (400, "invalid_request"), "cut off"),
        (form(file(VOICE))[:-60], (400, "invalid_request"), "cut off"),
        (form(FIELD), (400, "invalid_request"), "no file"),
        (form(end=b"--"), (400, "invalid_request"), "no file"),
        (form(file(VOICE), file(VOICE, "second")), (400, "invalid_request"), "several"),
        (form(*[FIELD] * 200), (400, "invalid_request"), "parts"),
        (form(file(f"\r\n--{BOUNDARY}x".encode() * 200)), (400, "invalid_request"), "parts"),
        (form(part(b"x" * 70_000, NAMED), file(VOICE)), (413, "too_large"), "besides its file, a part with a filename"),
        (form(part(b"", "X: " + "x" * 10_000)), (400, "invalid_request"), "not the form"),
        (form(file(b"x" * 2_000_001)), (413, "too_large"), "limit"),
        (form(EMPTY), (422, "unreadable_media"), ""),
        (
            form(part(b"AAAA", f'{NAMED}; filename="a"', "Content-Transfer-Encoding: base64")),
            (415, "unsupported_media_type"),
            "encoded",
        ),
    ],
)
async def test_a_form_that_does_not_hold_one_file(
    client: httpx.AsyncClient, app: App, content: bytes, expected: tuple[int, str], told: str
) -> None:
    *found, message = refusal(await post(client, content, f"multipart/form-data; boundary={BOUNDARY}"))
    assert (tuple(found), told in message) == (expected, True)
    # Nothing is held any more.
    async with app.budget.hold(app.settings.max_inflight_bytes):
        pass


async def test_a_form_that_is_too_large_is_refused_by_its_length(client: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body is read")
        yield b""

    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    answer = await post(client, never(), content_type, **{"content-length": "3000000"})
    assert refusal(answer)[:2] == (413, "too_large")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 71])
async def test_a_form_without_a_boundary(client: httpx.AsyncClient, content_type: str) -> None:
    *found, message = refusal(await post(client, form(file(VOICE)), content_type))
    assert (found, "boundary" in message) == ([400, "invalid_request"], True)


@pytest.mark.parametrize(
    "prefix", ["", "data:audio/wav;base64,", "data:audio/webm;codecs=opus;base64,", "DATA:;BASE64,"]
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
async def test_base64_in_json(client: httpx.AsyncClient, prefix: str, bom: bytes) -> None:
    document = json.dumps({"data": prefix + base64.encodebytes(VOICE).decode()}).encode()
    answer = await post(client, bom + document, "application/json; charset=utf-8")
    assert answer.json()["audio_seconds"] == 5.0
    picture = {"data": prefix + base64.b64encode(PHOTO).decode()}
    assert (await client.post("/predict_liveness", json=picture)).json()["success"] is True


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (VOICE, (400, "invalid_request")),
        (b"{}", (400, "invalid_request")),
        (b'{"data": 1}', (400, "invalid_request")),
        (b'{"data": "", "more": ""}', (400, "invalid_request")),
        (b'{"data": "!"}', (400, "invalid_request")),
        (b'{"data": "", "data": ""}', (400, "invalid_request")),
        ('{"data": "ä"}'.encode(), (400, "invalid_request")),
        (b'{"data": "data:audio/wav,abc"}', (400, "invalid_request")),
        (b'{"data": ""}', (422, "unreadable_media")),
        (b'{"data": "' + b"A" * 2_668_000 + b'"}', (413, "too_large")),
        (b" " * 3_000_000 + b"x" * 200_000, (413, "too_large")),
    ],
)
async def test_json_that_holds_no_file(client: httpx.AsyncClient, content: bytes, expected: tuple[int, str]) -> None:
    assert refusal(await post(client, content, "application/json"))[:2] == expected


@pytest.mark.parametrize(
    ("kind", "document", "message"),
    [
        (EncodedFile, {"data": ""} | dict.fromkeys("abc", 1), "a: Extra inputs are not permitted"),
        (WantedJob, {"bucket": "b", "keys": [1, 2, 3]}, "keys.0: Input should be a valid string"),
        (WantedJob, {"bucket": "b", "keys": [{}] * 1_000}, "keys.0: Input should be a valid string"),
        (EncodedFile, {"data": "", "a" * 1000: 1}, "a" * 100 + ": Extra inputs are not permitted"),
    ],
)
def test_of_what_is_wrong_in_json_only_the_first_is_described(
    kind: type[JsonBody], document: dict[str, Any], message: str
) -> None:
    # Of a body of 4 MB all would take most of a minute, in which nobody else is answered.
    with pytest.raises(InvalidRequest) as refused:
        read_json(kind, json.dumps(document).encode())
    assert refused.value.message == message
    assert isinstance(refused.value.__cause__, ValidationError)
    assert refused.value.__cause__.error_count() == 1


async def test_json_holds_no_more_than_its_bound_whatever_the_file_may_have(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonafide.api.bodies.MAX_JSON_FILE_BYTES", len(VOICE))
    for file, status in ((VOICE, 200), (VOICE + b"\0", 413)):
        document = json.dumps({"data": base64.b64encode(file).decode()}).encode()
        assert (await post(client, document, "application/json")).status_code == status


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/zip", "image/png", "multipart/mixed; boundary=x", "nonsense"]
)
async def test_other_content_types_are_refused_by_name(client: httpx.AsyncClient, content_type: str) -> None:
    *found, message = refusal(await post(client, VOICE, content_type))
    assert (found, content_type.partition(";")[0] in message) == ([415, "unsupported_media_type"], True)
    if content_type == "image/png":
        answer = await client.post("/predict_liveness", content=VOICE, headers={"content-type": "audio/wav"})
        assert refusal(answer)[:2] == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content", [b"file=call.mp3", b"file=data%3Aaudio%2Fwav%3Bbase64%2CUklGRg&task=1", b"a=" + b"A" * 10**5]
)
async def test_a_form_of_fields_is_no_recording(client: httpx.AsyncClient, content: bytes) -> None:
    *found, message = refusal(await post(client, content, "application/x-www-form-urlencoded"))
    assert (found, "multipart/form-data" in message) == ([415, "unsupported_media_type"], True)


@pytest.mark.parametrize("content", [b"", b"not audio", b"http://127.0.0.1/call.mp3"])
async def test_what_is_neither_a_form_nor_a_recording_cannot_be_decoded(
    client: httpx.AsyncClient, content: bytes
) -> None:
    answer = await post(client, content, "application/x-www-form-urlencoded")
    assert refusal(answer)[:2] == (422, "unreadable_media")


@pytest.mark.parametrize("route", ["/detect_audio", "/predict_liveness", "/analyze_audio"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "aws-chunked"])
async def test_compressed_bodies_are_refused_by_name(client: httpx.AsyncClient, route: str, encoding: str) -> None:
    headers = {"content-encoding": encoding, "content-type": "application/octet-stream"}
    *found, message = refusal(await client.post(route, content=gzip.compress(VOICE), headers=headers))
    assert (found, encoding in message) == ([415, "unsupported_media_type"], True)


async def test_identity_is_no_compression(client: httpx.AsyncClient) -> None:
    assert (await post(client, VOICE, "audio/wav", **{"content-encoding": "identity"})).status_code == 200


PIECES = st.sampled_from([b"\r\n", b"--B", b"--", b"\r", b"a: b", f'{NAMED}; filename="f"'.encode(), b"\r\n\r\n"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=40))
async def test_wild_forms_end_in_a_file_or_an_error(pieces: list[bytes]) -> None:
    async def received() -> AsyncIterator[bytes]:
        for piece in (b"--B\r\n", *pieces):
            yield piece

    with suppress(BonafideError):
        async for data in FormFile("multipart/form-data; boundary=B").of(received()):
            assert data in b"".join(pieces)


def choice(mode: str) -> bytes:
    return part(mode.encode(), 'Content-Disposition: form-data; name="channel_mode"')


@pytest.mark.parametrize("first", [True, False])
async def test_a_form_may_choose_channels(client: httpx.AsyncClient, first: bool) -> None:
    parts = [choice("separate"), file(VOICE)]
    content = form(*(parts if first else parts[::-1]))
    answer = await post(client, content, f"multipart/form-data; boundary={BOUNDARY}")
    assert [each["number"] for each in answer.json()["channels"]] == [0]


@pytest.mark.parametrize("parts", [[choice("left")], [choice("1" * 70_000)], [choice("mix"), choice("0")]])
async def test_a_form_with_a_wrong_choice_is_refused(client: httpx.AsyncClient, parts: list[bytes]) -> None:
    answer = await post(client, form(file(VOICE), *parts), f"multipart/form-data; boundary={BOUNDARY}")
    assert refusal(answer)[1] in ("invalid_request", "too_large")


async def test_a_form_that_contradicts_the_address_is_refused(client: httpx.AsyncClient) -> None:
    content = form(file(VOICE), choice("mix"))
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await client.post("/detect_audio?channel_mode=0", content=content, headers=headers)
    assert refusal(answer)[:2] == (400, "invalid_request")


async def test_a_form_whose_headers_are_nothing_but_options_is_refused(client: httpx.AsyncClient) -> None:
    # 64 KB of them held the event loop for a fifth of a second.
    many = form(*[part(b"", NAMED + ";" * 600)] * 20)
    for content, options in ((many, ""), (b"", ";" * 6_000)):
        answer = await post(client, content, f"multipart/form-data; boundary={BOUNDARY}{options}")
        assert refusal(answer)[:2] == (400, "invalid_request")
        assert "more than 5000 options" in refusal(answer)[2]
