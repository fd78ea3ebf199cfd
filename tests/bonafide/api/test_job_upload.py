"""`POST /jobs` as a form that brings the list of keys, over a real port."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bonafide.app import App
from bonafide.settings import Settings
from tests.bonafide.api.http_server import http_server
from tests.bonafide.api.job_app import job_app, job_settings
from tests.bonafide.fakes import LocalRemote

BOUNDARY = "b0undary"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return job_settings(tmp_path)


@pytest.fixture
async def app(remote: LocalRemote, settings: Settings) -> AsyncIterator[App]:
    async with job_app(settings, remote) as app:
        yield app


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with http_server(app) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        yield http


def form(*parts: tuple[str, bytes]) -> bytes:
    """Fields as `curl -F "name=<file"` sends them, without file names."""
    made = b""
    for name, data in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        made += head.encode() + data + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


async def post(http: httpx.AsyncClient, *parts: tuple[str, bytes]) -> httpx.Response:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await http.post("/jobs", content=form(*parts), headers=headers)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


BUCKET = ("bucket", b"calls")


async def test_a_list_makes_the_job_that_its_keys_make(http: httpx.AsyncClient, app: App) -> None:
    listed = b"\xef\xbb\xbfday/20.wav\r\n\r\nmissing.wav\nday/20.wav\n"
    fields = {"bucket": "calls", "priority": "high", "idempotency_key": "k", "callback_url": "http://127.0.0.1:1/é?"}
    refused = await http.post("/jobs", data=fields, files={"list": ("keys.txt", listed, "text/plain")})
    assert "callback_url must be" in refusal(refused)[2]
    fields["callback_url"] = f"http://127.0.0.1:1/{'x' * 2000}"
    accepted = await http.post("/jobs", data=fields, files={"list": ("keys.txt", listed, "text/plain")})
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert (job["total"], job["priority"], job["callback_url"]) == (2, "high", fields["callback_url"])
    store = app.require_jobs().store
    assert [item.key for item in (await store.take(), await store.take()) if item] == ["day/20.wav", "missing.wav"]
    same = await http.post("/jobs", json={**fields, "keys": ["day/20.wav", "missing.wav"]})
    assert same.json()["id"] == job["id"]


async def test_a_list_without_a_file_name(http: httpx.AsyncClient) -> None:
    answer = await post(http, ("list", b"x.wav\n" * 500 + b"y.wav"), BUCKET)
    assert (answer.status_code, answer.json()["total"]) == (202, 2)


@pytest.mark.parametrize(
    ("parts", "status", "code", "told"),
    [
        ([BUCKET], 400, "invalid_request", "list"),
        ([("list", b"a")], 400, "invalid_request", "bucket"),
        ([("list", b"a"), ("bucket", b"")], 400, "invalid_request", "bucket"),
        ([("list", b"\n\n"), BUCKET], 400, "invalid_request", "no key"),
        ([("list", b"a\nb\xff"), BUCKET], 400, "invalid_request", "line 2"),
        ([("list", b"a\n\n../b"), BUCKET], 400, "invalid_request", "line 3"),
        ([("list", b"a\nb\nc\nd\ne\nf"), BUCKET], 413, "too_large", "5 recordings"),
        ([("list", b"\n" * 5131), BUCKET], 413, "too_large", "5130"),
        ([("list", b"a"), ("list", b"b"), BUCKET], 400, "invalid_request", "several"),
        ([("list", b"a"), BUCKET, BUCKET], 400, "invalid_request", "bucket"),
        ([("list", b"a"), BUCKET, ("prefix", b"")], 400, "invalid_request", "prefix"),
        ([("list", b"a"), BUCKET, ("keys", b"b")], 400, "invalid_request", "keys"),
        ([("list", b"a"), BUCKET, ("idempotency-key", b"b")], 400, "invalid_request", "idempotency-key"),
        ([("list", b"a"), BUCKET, ("priority", b"\xff")], 400, "invalid_request", "priority"),
        ([("list", b"a"), BUCKET, ("callback_url", b"x" * 5000)], 400, "invalid_request", "callback_url"),
        ([("list", b"a"), ("bucket", b"other")], 403, "forbidden", "other"),
    ],
)
async def test_refusals(
    http: httpx.AsyncClient, app: App, parts: list[tuple[str, bytes]], status: int, code: str, told: str
) -> None:
    *found, message = refusal(await post(http, *parts))
    assert (found, told in message) == ([status, code], True), message
    async with app.budget.hold(app.settings.max_inflight_bytes):  # nothing is held any more
        pass


async def test_a_file_of_another_name_is_no_list(http: httpx.AsyncClient) -> None:
    answer = await http.post("/jobs", data={"bucket": "calls"}, files={"file": ("keys.txt", b"a")})
    *found, message = refusal(answer)
    assert (found, "'file'" in message) == ([400, "invalid_request"], True)


async def test_a_list_is_counted_while_it_arrives(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(("list", b"a\n")).partition(f"\r\n--{BOUNDARY}--".encode())[0]
        while True:
            sent += 1000
            yield b"\n" * 1000

    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await client.post("/jobs", content=endless(), headers=headers)
    assert refusal(answer)[:2] == (413, "too_large")
    assert sent < 10_000


async def test_fields_in_pieces(http: httpx.AsyncClient) -> None:
    content = form(("bucket", b"calls"), ("list", "д/1.wav".encode()), ("priority", b"low"))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(len(content)):
            yield content[start : start + 1]

    headers: dict[str, Any] = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await http.post("/jobs", content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["priority"]) == (202, "low")
