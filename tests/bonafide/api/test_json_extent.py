"""How much a JSON text holds is told before it is parsed."""

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.api import bodies, http_jobs
from bonafide.api.http import HttpApi
from bonafide.api.json_extent import MOST_OPENED, require_few_strings, require_one_value
from bonafide.errors import InvalidRequest, TooLarge
from tests.bonafide.api.job_app import job_app, job_settings
from tests.bonafide.fakes import LocalRemote

HOSTILE = {
    "fields": b'{"data": ""' + b"".join(b',"k%d":1' % number for number in range(1_000)),
    "one field": b'{"data": "", ' + b'"k":1,' * 1_000 + b'"k":1}',
    "lists": b'{"data": ' + b"[]," * 1_000,
    "objects": b'{"keys": [' + b"{}," * 1_000,
    "nothing opened": b'{"keys": ' + b"[" * 1_000,
}
"""Beginnings of documents; in 24 MB they hold up the parser for seconds."""
MANY = {
    "numbers": b'{"keys": [' + b"1," * 1_000,
    "texts": b'{"keys": [' + b'"a",' * 1_000,
    "texts without commas": b'""' * 1_000,
}


@pytest.mark.parametrize("text", [*HOSTILE.values(), MANY["numbers"], MANY["texts"]], ids=str)
def test_a_file_in_json_is_one_value(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        require_one_value(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_document_of_keys_has_few_fields(name: str) -> None:
    with pytest.raises(InvalidRequest, match=str(MOST_OPENED)):
        require_few_strings(HOSTILE[name], 10_000)


@pytest.mark.parametrize("name", MANY)
def test_a_document_of_keys_has_so_many(name: str) -> None:
    with pytest.raises(TooLarge, match="more than 100 texts"):
        require_few_strings(MANY[name], 100)


@given(st.lists(st.text(max_size=20) | st.sampled_from(['"' * 99, "[:{," * 99, "\\" * 99, '\\",']), max_size=50))
@settings(max_examples=300)
def test_what_stands_in_a_text_does_not_count(keys: list[str]) -> None:
    for ascii_only in (True, False):
        text = json.dumps({"bucket": "b", "keys": keys, "prefix": None}, ensure_ascii=ascii_only).encode(
            errors="surrogatepass"
        )
        require_few_strings(bytearray(text), len(keys))


@pytest.mark.parametrize("unfinished", [b'"', b'"\\', b'"' + b'\\"' * 1_000, b"\\" * 1_001, b"x" * 1_000, b""])
def test_what_is_no_json_is_left_to_the_parser(unfinished: bytes) -> None:
    require_few_strings(b'{"bucket": ' + unfinished, 1)


async def test_neither_is_parsed(
    client: httpx.AsyncClient, remote: LocalRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(bodies, "read_json")
    monkeypatch.delattr(http_jobs, "read_json")
    wanted = {"content-type": "application/json"}
    for route in ("/detect_audio", "/predict_liveness"):
        assert (await client.post(route, content=HOSTILE["fields"], headers=wanted)).status_code == 400
    api = HttpApi()
    async with job_app(job_settings(tmp_path / "jobs"), remote) as api.app:
        transport = httpx.ASGITransport(api.routes())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as jobs:
            assert (await jobs.post("/jobs", content=HOSTILE["lists"], headers=wanted)).status_code == 400
            assert (await jobs.post("/jobs", content=MANY["texts"], headers=wanted)).status_code == 413
