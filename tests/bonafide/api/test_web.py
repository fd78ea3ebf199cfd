"""The page's files as the service sends them; `tests/web` checks them in a browser."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from bonafide.api.exact_paths import ExactPaths
from bonafide.api.http import HttpApi
from bonafide.api.web import FOLDER, HEADERS

FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The page needs no running app: it shows by itself that the service is starting."""
    transport = httpx.ASGITransport(HttpApi().routes(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("path", ["/detect_audio/", "/jobs/", "/health/"])
async def test_no_redirection_asks_for_a_recording_again(path: str) -> None:
    # Behind a proxy that ends TLS it would name http://, and the recording and the key would travel in the clear.
    transport = httpx.ASGITransport(ExactPaths(HttpApi().routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(path, content=b"voice")
        assert (answer.status_code, answer.text, "location" in answer.headers) == (404, "Not Found", False)
        assert (await client.get("/ui")).headers["location"] == "ui/"
        assert (await client.get("/ui/")).status_code == 200


async def test_ui_leads_to_the_page_behind_any_proxy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ui")
    assert (answer.status_code, answer.headers["location"]) == (307, "ui/")
    page = await client.get("/ui/")
    assert page.status_code == 200
    assert page.text == (FOLDER / "index.html").read_text()


@pytest.mark.parametrize("name", FILES)
async def test_every_file_has_the_headers_and_its_type(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/ui/{name}")
    assert answer.status_code == 200
    assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    expected = {"html": "text/html", "css": "text/css", "js": "javascript", "svg": "image/svg+xml"}
    assert expected[name.rsplit(".", 1)[1]] in answer.headers["content-type"]
    again = await client.get(f"/ui/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    for sources in policy.values():
        assert not re.search(r"unsafe|http|data:|\*", sources)


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_another_host_or_holds_what_the_policy_forbids(name: str) -> None:
    text = (FOLDER / name).read_text()
    hosts = {host for host in re.findall(r"https?://([\w.-]+)", text) if host != "www.w3.org"}
    assert hosts == set()
    assert not re.search(r"\bon\w+=\"|\bstyle=\"|<style|javascript:|innerHTML|\beval\(", text)
    assert "<script>" not in text


def test_every_reference_leads_to_a_file() -> None:
    page = (FOLDER / "index.html").read_text()
    for reference in re.findall(r"(?:src|href)=\"([^\"]+)\"", page):
        assert (FOLDER / reference).is_file(), reference
    for path in FOLDER.rglob("*.js"):
        for reference in re.findall(r"(?:from|import) \"(\.[^\"]+)\"", path.read_text()):
            assert (path.parent / reference).is_file(), f"{path.name}: {reference}"


@pytest.mark.parametrize("path", ["/ui/none.js", "/ui/../service.py", "/ui/%2e%2e/service.py", "/ui//etc/passwd"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404
    assert (await client.post("/ui/")).status_code == 405
