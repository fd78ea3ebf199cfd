"""Debian's Chromium for the tests of the page; they are skipped where there is none."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

PATIENCE_MS = 60_000
_FAKE_DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@asynccontextmanager
async def chromium(microphone: Path | None = None, camera: Path | None = None) -> AsyncIterator[Browser]:
    """A browser without a window, whose microphone and camera are fakes and are granted to every page.

    Args:
        microphone: a WAV file that the microphone records once.
        camera: an MJPEG file that the camera repeats.
    """
    if not (path := shutil.which("chromium")):
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    arguments = list(_FAKE_DEVICES)
    if microphone:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    if camera:
        arguments.append(f"--use-file-for-fake-video-capture={camera}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments, chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """The page at `url`; fails afterwards if it logged an error, or contacted any other host."""
    async with await browser.new_context(permissions=["microphone", "camera"], **options) as context:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints: list[str] = []

        def hear(message: ConsoleMessage) -> None:
            # That the service refused something is for the page to tell, and for the test to look at.
            if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
                complaints.append(message.text)

        def watch(request: Request) -> None:
            if request.url.startswith("http") and urlsplit(request.url).netloc != urlsplit(url).netloc:
                complaints.append(f"asked {request.url}")

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", watch)
        await page.goto(url)
        yield page
        if complaints:
            pytest.fail("the page complained: " + "; ".join(complaints))
