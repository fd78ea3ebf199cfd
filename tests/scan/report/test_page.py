"""The report's HTML file: what it holds, that keys from strangers are harmless in it, and how a browser takes it."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from scan.report.gathering import gathered
from scan.report.page import MAX_ROWS, rendered
from scan.result_storage import FolderStorage
from tests.browser import chromium, opened
from tests.node import axe
from tests.scan.report.made import BEGIN, Row, failed, random_rows, recording, windows, written

COLOURS = {"light": ("rgb(246, 244, 239)", "rgb(207, 84, 35)"), "dark": ("rgb(17, 22, 26)", "rgb(230, 122, 74)")}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "</title></style><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "a\u202egpj.exe",
    "line\nbreak\x00\x1b[31m",
    "&lt;b&gt;",
)


def report(folder: Path, rows: list[Row], window_rows: list[Row] | None = None, top: int = 20) -> str:
    storage = FolderStorage(written(folder, rows, window_rows or [], parts=2), 0.0)
    return rendered(gathered(storage, top=top), name="results <of> a scan")


class Elements(HTMLParser):
    """The names of all elements and attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def hostile_rows() -> tuple[list[Row], list[Row]]:
    """Every text of a row is hostile, in recordings with verdicts and in failures."""
    rows, made = [], []
    for number, text in enumerate(HOSTILE):
        stretches = [{"start": 0.0, "end": 4.0, "score": 0.9}]
        row = recording(
            f"!{text}/{number}", score=1.0, label="spoof", codec=text, conditions=[text], warnings=[text], reason=text,
            suspicious=stretches, model_name=text, model_version=text, model_fingerprint=text,
        )  # fmt: skip
        rows += [row, failed(f"{text}-", code=text, message=text)]
        made += windows(row, [0.9, 0.1], channel=text)
    return rows, made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests, in whose event loop they run."""
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of what `drawn` and `hostile_rows` give."""
    folder = tmp_path_factory.mktemp("report")
    (rows, made), (hostile, hostile_windows) = drawn(), hostile_rows()
    path = folder / "report.html"
    path.write_text(report(folder / "results", [*rows, *hostile], [*made, *hostile_windows]), encoding="utf-8")
    return path


def test_texts_of_strangers_are_text(tmp_path: Path) -> None:
    plain, hostile = (
        Elements(report(tmp_path / "plain", *drawn())),
        Elements(report(tmp_path / "hostile", *hostile_rows())),
    )
    assert hostile.names <= plain.names
    assert "script" not in hostile.names
    assert hostile.attributes <= plain.attributes
    assert not any(name.startswith("on") or name in ("src", "style") for name in hostile.attributes)
    text = "".join(hostile.text)
    assert "!<script>alert(1)</script>/0" in text
    assert "{{ 7 * 7 }}" in text
    assert "a\\u202egpj.exe" in text
    assert not re.search("[\u202a-\u202e\x00\x1b]", text)


def drawn() -> tuple[list[Row], list[Row]]:
    rows = random_rows(200)
    part = [{"start": 4.0, "end": 8.0, "score": 0.9}]
    high = recording("!high.wav", score=1.0, label="spoof", suspicious=part, windows=3)
    return [*rows, high], windows(high, [0.1, 0.9, None])


def test_it_holds_the_numbers(tmp_path: Path) -> None:
    rows, made = drawn()
    text = " ".join(" ".join(Elements(report(tmp_path, rows, made)).text).split())
    assert f"Recordings and photos {len(rows)}" in text
    errors = sum(bool(row["error_code"]) for row in rows)
    assert f"Errors {errors} {errors / len(rows):.1%}".replace("%", " % of all") in text
    assert "0:04 to 0:08: score 0.900" in text
    assert "suspicious from 0:04 to 0:08: score 0.900" in text
    assert "0:08 to 0:12: no speech" in text
    assert "threshold 0.6" in text
    assert "results <of> a scan, of s3://calls/." in text


def test_rows_that_are_in_no_time_are_counted(tmp_path: Path) -> None:
    years = [recording(f"{year}", modified=BEGIN.replace(year=year)) for year in range(1900, 2001)]
    rows = [*years, failed("none", etag=""), failed("gone", etag="")]
    found = " ".join(Elements(report(tmp_path / "some", rows)).text)
    assert "3 more are not shown here: their time is not known, or it is earlier." in " ".join(found.split())
    assert "not shown here" not in report(tmp_path / "all", years[1:])


def test_what_a_demonstration_model_judged_is_said(tmp_path: Path) -> None:
    assert "prove nothing" not in report(tmp_path / "real", [recording("a")])
    demo = report(tmp_path / "demo", [recording("a", demo=True, calibrated=False)])
    assert "prove nothing" in demo
    assert "1 scores are not calibrated" in demo


@pytest.mark.parametrize("rows", [[], [failed("a")]], ids=["empty", "failed"])
def test_nothing_with_a_score(rows: list[Row], tmp_path: Path) -> None:
    assert "Nothing has a score." in report(tmp_path, rows)


def test_its_size_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    def made(count: int) -> str:
        rows = [recording(f"source-{number}/{'k' * 2000}", codec=f"c{number}") for number in range(count)]
        long = recording("!long", score=1.0, label="spoof", windows=count * 10, seconds=count * 40.0)
        long["suspicious"] = [{"start": 8.0 * i, "end": 8.0 * i + 4, "score": 0.9} for i in range(count)]
        return report(tmp_path / str(count), [*rows, long], windows(long, [0.5] * count * 10), top=5)

    few, many = made(300), made(900)
    assert len(many) < len(few) * 1.1
    assert f"The first {MAX_ROWS} of 901" in many
    assert "800 with lower scores" in many


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_in_a_browser(browser: Browser, file: Path, scheme: str, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    async with opened(browser, file.as_uri(), **options) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        await page.reload()
        assert asked == [file.as_uri()]
        assert await page.locator("article").count() == 20
        assert await page.locator("article svg rect").count() > 20
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        fill = await page.evaluate("getComputedStyle(document.querySelector('rect.above-3')).fill")
        assert (paper, fill) == COLOURS[scheme]
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "wide tables scroll by themselves"
        )
        await page.locator("summary").first.click()
        assert await page.locator("details[open] tbody tr").first.is_visible()


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_keeps_nobody_from_using_it(browser: Browser, tmp_path: Path, scheme: str) -> None:
    source = axe()
    path = tmp_path / "report.html"
    path.write_text(report(tmp_path / "results", *drawn()), encoding="utf-8")
    async with opened(browser, path.as_uri(), color_scheme=scheme, bypass_csp=True) as page:
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        await page.evaluate(source)
        found = await page.evaluate("axe.run().then((found) => found.violations)")
        assert not [(each["id"], each["nodes"][0]["html"][:200]) for each in found]
