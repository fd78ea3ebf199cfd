"""Takes the pictures of the page in docs/: a voice while it is recorded, its verdict in the dark, a face on a phone.

Usage: make screenshots [VOICE=real.wav]: what the microphone records before the synthetic sample; by default the sample
of a real voice. Needs Chromium.
"""

import argparse
import asyncio
import io
import shutil
import tempfile
import wave
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from scripts.local_service import ROOT, LocalService, running

DOCS = ROOT / "docs"
SAMPLES = ROOT / "samples"
RATE = 48_000
DESKTOP: dict[str, Any] = {"viewport": {"width": 1120, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "has_touch": True}


def write_microphone_audio(voice: Path, path: Path) -> None:
    """Writes a WAV file of eight seconds of `voice`, and then the synthetic sample, equally loud."""
    parts = [_levelled(_decoded(voice)[: 8 * RATE]), _levelled(_decoded(SAMPLES / "call_spoof.mp3"))]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate(parts).astype(np.int16).tobytes())


def _decoded(path: Path) -> NDArray[np.int16]:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts)


def _levelled(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    levels = samples.astype(np.float64)
    levels *= 20_000.0 / np.abs(levels).max()
    return levels


async def take(browser: Browser, service: LocalService) -> None:
    """Takes all pictures."""
    page = await _page(browser, service, "light", DESKTOP)
    await page.click("#record")
    await page.wait_for_selector("#voice-verdict[data-label=spoof]")
    await page.wait_for_timeout(2_500)
    await _shoot(page, "voice-recording-light")
    await page.click("#record")
    await page.wait_for_selector("#voice[data-phase=judged]")
    await page.context.close()

    page = await _page(browser, service, "dark", DESKTOP)
    await page.click("#record")
    await page.wait_for_timeout(15_000)
    await page.click("#record")
    await page.wait_for_selector("#voice[data-phase=judged]")
    await page.hover("#timeline", position={"x": 300, "y": 60})
    await _shoot(page, "voice-verdict-dark")
    await page.context.close()

    page = await _page(browser, service, "light", PHONE)
    await page.click("#face-tab")
    await page.set_input_files("#photo-file", SAMPLES / "face.jpg")
    await page.wait_for_selector("#face[data-phase=judged]")
    await _shoot(page, "face-phone-light")
    await page.context.close()


async def _page(
    browser: Browser, service: LocalService, scheme: Literal["light", "dark"], options: dict[str, Any]
) -> Page:
    context = await browser.new_context(color_scheme=scheme, permissions=["microphone"], **options)
    page = await context.new_page()
    await page.goto(f"{service.url}/ui/")
    await page.wait_for_selector("#state[data-state=ready]")
    return page


async def _shoot(page: Page, name: str) -> None:
    await page.wait_for_timeout(600)  # colours and markers move slowly
    picture = Image.open(io.BytesIO(await page.screenshot()))
    picture.quantize(256, dither=Image.Dither.NONE).save(DOCS / f"ui-{name}.png", optimize=True)


async def main() -> None:
    """Serves, and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", type=Path, default=SAMPLES / "call.mp3")
    voice = parser.parse_args().voice
    with tempfile.TemporaryDirectory() as folder:
        write_microphone_audio(voice, sound := Path(folder) / "microphone.wav")
        with running(Path(folder) / "log") as service:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=shutil.which("chromium"),
                    chromium_sandbox=False,
                    args=[
                        "--use-fake-device-for-media-stream",
                        "--use-fake-ui-for-media-stream",
                        f"--use-file-for-fake-audio-capture={sound}%noloop",
                    ],
                )
                await take(browser, service)
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
