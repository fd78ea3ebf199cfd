"""The page at /ui as people use it: in Chromium, with a microphone that plays the test's audio."""

import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, ViewportSize, WebSocketRoute

from scripts.local_service import LocalService, running
from tests.browser import chromium, opened
from tests.integration.locked import REAL, SYNTHETIC, LockedService
from tests.media import wav
from tests.node import axe

# One event loop, and with it one browser.
pytestmark = [pytest.mark.slow, pytest.mark.beside, pytest.mark.asyncio(loop_scope="module")]

RATE = 48_000
WIDTHS: dict[str, ViewportSize] = {"phone": {"width": 320, "height": 640}, "desktop": {"width": 1280, "height": 800}}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def bundled_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """With the bundled models, whose figures the page shows."""
    with running(tmp_path_factory.mktemp("page") / "log") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(bundled_service: LocalService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bundled_service.url, timeout=120) as http:
        yield http


async def ready(page: Page) -> None:
    await page.wait_for_selector("#state[data-state=ready]")


def speech(path: Path) -> NDArray[np.int16]:
    """int16 array (samples,) at `RATE`."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def write_wav(path: Path, samples: NDArray[np.int16]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@pytest.mark.alone  # a browser that is late plays a microphone with gaps
@pytest.mark.timeout(900)  # starts a service of its own, and listens as long as the voices speak
async def test_a_real_voice_and_then_a_synthetic_one_change_the_verdict(locked: LockedService, tmp_path: Path) -> None:
    spoof = speech(SYNTHETIC)
    heard = np.concatenate([speech(REAL)[: 4 * RATE], spoof, spoof])
    async with (
        chromium(microphone=write_wav(tmp_path / "heard.wav", heard)) as browser,
        opened(browser, f"{locked.service.url}/ui/") as page,
    ):
        await page.fill("#key", locked.keys["page"])
        await page.click("#key-form button")
        await ready(page)
        await page.click("#record")
        await page.wait_for_selector("#voice-verdict[data-label=bonafide]")
        await page.wait_for_selector("#voice-verdict[data-label=spoof]")
        assert await page.inner_text("#voice-title") == "Spoof"
        await page.click("#record")
        await page.wait_for_selector("#voice[data-phase=judged]")
        labels = [await cell.text_content() for cell in await page.query_selector_all("#windows td:last-child")]
        assert "spoof" in labels[labels.index("bona fide") :]  # what a slow machine hears first may be truncated
        assert await page.is_visible("#play")


async def test_the_microphone_is_asked_for_sound_as_it_is(browser: Browser, bundled_service: LocalService) -> None:
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        await ready(page)
        await page.evaluate("""() => {
            const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media);
            media.getUserMedia = async (wanted) => {
                const stream = await ask(wanted);
                window.asked = [wanted.audio, stream.getAudioTracks()[0].getSettings()];
                return stream;
            };
        }""")
        await page.click("#record")
        await page.wait_for_selector("#record[aria-pressed=true]")
        off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
        wanted, got = await page.evaluate("window.asked")
        assert wanted == off
        assert {name: got[name] for name in off} == off
        await page.wait_for_timeout(500)
        await page.keyboard.press("Enter")  # the focus stays on the button
        await page.wait_for_selector("#voice[data-phase=judged]")
        assert await page.inner_text("#voice-title") == "No speech"


async def test_a_recording_gets_the_verdict_of_the_service(
    browser: Browser, bundled_service: LocalService, http: httpx.AsyncClient, call_mp3: Path
) -> None:
    answer = (await http.post("/detect_audio", content=call_mp3.read_bytes())).json()
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        await ready(page)
        await page.set_input_files("#recording-file", call_mp3)
        await page.wait_for_selector("#voice[data-phase=judged]")
        assert await page.get_attribute("#voice-verdict", "data-label") == answer["label"]
        digits = 1 if answer["score"] < 0.1 else 0  # in fp32 it is below, in bf16 it may not be
        assert await page.inner_text("#voice-number") == f"{100 * answer['score']:.{digits}f} %"
        assert len(await page.query_selector_all("#windows tr")) == len(answer["chunks"])
        assert await page.inner_text("#clock") == "0:11.0"
        for fact in (answer["model"]["name"], answer["model"]["version"]):
            assert fact in await page.inner_text("footer")
        assert "EER 26.7 %" in await page.inner_text("#notice")
        assert "EER of 25.7 %" in await page.inner_text("#notice")

        await page.focus("#timeline")
        for key in ("End", "Home", "ArrowRight"):
            await page.keyboard.press(key)
        assert "0:04.0 to 0:08.0" in (await page.get_attribute("#timeline", "aria-valuetext") or "")

        await page.click("#play")
        await page.wait_for_selector("#play[aria-pressed=true]")
        await page.click("#play")

        await page.set_input_files("#recording-file", Path(__file__))
        await page.wait_for_selector("#voice-verdict[data-label=unsure]")
        assert "cannot be read" in await page.inner_text("#voice-title")


async def test_each_channel_of_a_call_has_a_lane(
    browser: Browser, bundled_service: LocalService, http: httpx.AsyncClient, call_mp3: Path, tmp_path: Path
) -> None:
    voices = [speech(call_mp3.with_name(name))[: 6 * RATE] for name in ("call_spoof.mp3", "call.mp3")]
    shortest = min(map(len, voices))
    file = tmp_path / "call.wav"
    file.write_bytes(wav(np.stack([voice[:shortest] for voice in voices], axis=1), RATE))
    answer = (await http.post("/detect_audio", content=file.read_bytes())).json()
    assert len(answer["channels"]) == 2
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        await ready(page)
        await page.set_input_files("#recording-file", file)
        await page.wait_for_selector("#voice[data-phase=judged]")
        assert await page.get_attribute("#voice-verdict", "data-label") == answer["label"]
        assert f"The verdict is on channel {answer['channel']}." in await page.inner_text("#voice-detail")
        (other,) = [each for each in answer["channels"] if each["name"] != answer["channel"]]
        lanes = [await lane.inner_text() for lane in await page.query_selector_all(".lane:not([hidden])")]
        assert [text.split(",")[0] for text in lanes] == [
            f"Channel {other['name']}: {other['label'].replace('bonafide', 'bona fide')}"
        ]
        await page.click("#windows-details summary")
        cells = [await cell.inner_text() for cell in await page.query_selector_all("#windows td.of-channel")]
        assert sorted(cells) == sorted(["0", "1"] * len(answer["chunks"]))
        await page.wait_for_timeout(400)
        await page.evaluate(axe())
        found = await page.evaluate("axe.run().then((found) => found.violations)")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        await page.set_input_files("#recording-file", call_mp3)  # one voice: the lanes go
        await page.wait_for_selector("#voice[data-phase=judged]")
        assert not await page.is_visible("#lanes")
        assert not await page.is_visible(".of-channel")


async def test_a_dropped_photo_gets_the_verdict_of_the_service(
    browser: Browser, bundled_service: LocalService, http: httpx.AsyncClient, face_jpg: Path
) -> None:
    answer = (await http.post("/predict_liveness", content=face_jpg.read_bytes())).json()
    async with opened(browser, f"{bundled_service.url}/ui/#face") as page:
        await ready(page)
        await page.evaluate(
            """async ([bytes]) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], "face.jpg", { type: "image/jpeg" }));
                const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
                document.querySelector("#face-drop").dispatchEvent(drop);
            }""",
            [list(face_jpg.read_bytes())],
        )
        await page.wait_for_selector("#face[data-phase=judged]")
        assert await page.get_attribute("#face-verdict", "data-label") == answer["predicted_class"]
        assert len(await page.query_selector_all(".face-box")) == len(answer["faces"])
        await page.set_input_files("#photo-file", Path(__file__))
        await page.wait_for_selector("#face-verdict[data-label=unsure]")
        assert "cannot be read" in await page.inner_text("#face-title")


async def test_a_photo_of_the_camera_says_why_it_should_not_be_relied_on(
    browser: Browser, bundled_service: LocalService
) -> None:
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        await ready(page)
        await page.focus("#voice-tab")
        await page.keyboard.press("ArrowRight")
        assert await page.evaluate("document.activeElement.id") == "face-tab"
        await page.evaluate("""() => {
            const video = document.getElementById("camera"), play = video.play.bind(video);
            video.play = () => {
                document.getElementById("take-photo").click(); // again, before there is a picture
                return play();
            };
        }""")
        await page.focus("#take-photo")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#face[data-phase=posing]")
        taken = "document.getElementById('camera').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        await page.evaluate(taken)
        await page.wait_for_selector("#face[data-phase=waiting]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#camera:not([hidden])")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#face[data-phase=judged]")
        assert "No face was found" in await page.inner_text("#face-detail")
        assert await page.evaluate("document.querySelector('#camera').srcObject === null")


async def test_a_session_that_ends_early_leaves_its_recording(browser: Browser, bundled_service: LocalService) -> None:
    """Also where the microphone has fallen silent, as a phone's in a call: no chunk of audio learns of the end."""
    async with await browser.new_context(permissions=["microphone"]) as context:
        page = await context.new_page()
        sockets: list[WebSocketRoute] = []

        def between(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            sockets.append(socket)

        await page.route_web_socket("**/ws/detect", between)
        await page.goto(f"{bundled_service.url}/ui/")
        await ready(page)
        await page.evaluate("""() => {
            const resume = AudioContext.prototype.resume;
            AudioContext.prototype.resume = function () { window.heard = this; return resume.call(this); };
        }""")
        await page.click("#record")
        await page.wait_for_selector("#clock:not(:text-is('0:00.0'))")
        await page.evaluate("heard.suspend()")
        await sockets[0].close(code=1008, reason="idle")
        await page.wait_for_selector("#voice-verdict[data-label=unsure]")
        assert await page.get_attribute("#record", "aria-pressed") == "false"
        await page.wait_for_selector("#play:not([hidden])")


async def test_of_two_files_the_later_one_is_judged(browser: Browser, bundled_service: LocalService) -> None:
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        await ready(page)
        await page.click("#record")
        await page.wait_for_selector("#record[aria-pressed=true]")
        told = await page.evaluate("""async () => {
            const detail = document.getElementById("voice-detail"), place = document.getElementById("voice-drop");
            const told = [], isJudged = () => document.getElementById("voice").dataset.phase === "judged";
            new MutationObserver(() => told.push(detail.textContent)).observe(detail, { childList: true });
            for (const name of ["first", "second"]) {
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File(["no audio"], name));
                place.dispatchEvent(new DragEvent("drop", { dataTransfer }));
                await new Promise((resolve) => setTimeout(resolve));
            }
            while (!told.includes("first") || !told.includes("second") || !isJudged()) {
                await new Promise((resolve) => setTimeout(resolve, 20));
            }
            return told;
        }""")
        assert told.index("first") < told.index("second")


async def test_everybody_can_use_it(browser: Browser, bundled_service: LocalService) -> None:
    looks = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
    async with opened(browser, f"{bundled_service.url}/ui/", viewport=WIDTHS[looks[0][0]]) as page:
        await ready(page)
        await page.evaluate(axe())
        for name, file in (("voice", "call.mp3"), ("face", "face.jpg")):
            await page.click(f"#{name}-tab")
            for judged in (False, True):
                if judged:
                    kind = "recording" if name == "voice" else "photo"
                    await page.set_input_files(f"#{kind}-file", f"samples/{file}")
                    await page.wait_for_selector(f"#{name}[data-phase=judged]")
                for width, scheme in looks:
                    await page.set_viewport_size(WIDTHS[width])
                    await page.emulate_media(color_scheme=scheme)
                    await page.wait_for_timeout(400)  # colours change slowly
                    scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                    assert not await page.evaluate(scrolls), (name, judged, width, scheme)
                    found = await page.evaluate("axe.run().then((found) => found.violations)")
                    violations = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
                    assert violations == [], (name, judged, width, scheme)


async def test_the_javascript_client_resumes_in_a_browser(browser: Browser, bundled_service: LocalService) -> None:
    async with opened(browser, f"{bundled_service.url}/ui/") as page:
        found = await page.evaluate(
            """async (url) => {
                const { AudioDetectionClient } = await import("/ui/client/index.js");
                const sockets = [];
                class Socket extends WebSocket {
                    constructor(...words) { super(...words); sockets.push(this); }
                }
                const client = new AudioDetectionClient(url, { WebSocket: Socket });
                const windows = [], states = [];
                client.onDetectionResult = (result) => windows.push([result.sequence, result.end_time_seconds]);
                client.onStateChange = (state) => states.push(state);
                await client.connect();
                const chunk = new Float32Array(8_000);
                const answers = [], encodings = ["float32", "pcm16", "base64", "json"];
                for (let number = 0; number < 8; number++) {
                    answers.push(client.sendAudioChunk(chunk, 16_000, encodings[number % 4]));
                    if (number === 3) sockets[0].close(4000);
                }
                await Promise.all(answers);
                const summary = await client.end();
                return { windows, states, sockets: sockets.length, seconds: summary.audio_seconds };
            }""",
            bundled_service.live_url,
        )
    assert found["windows"] == [[number, number + 1] for number in range(4)]
    assert found["states"] == ["connecting", "connected", "reconnecting", "connected", "ended"]
    assert (found["sockets"], found["seconds"]) == (2, 4)


async def test_the_page_of_routes_asks_no_other_host(browser: Browser, bundled_service: LocalService) -> None:
    """BentoML's own, at `/`, which would load its maker's tracking."""
    asked: set[str] = set()
    async with await browser.new_context() as context:
        page = await context.new_page()
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        await page.goto(bundled_service.url)
        await page.wait_for_selector("text=/detect_audio")
        await page.wait_for_load_state("networkidle")
    assert asked == {urlsplit(bundled_service.url).netloc}
