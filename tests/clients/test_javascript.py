"""The JavaScript client without a service, and that the page carries it as TypeScript compiles it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.local_service import ROOT
from tests.node import FOLDER, node, tsc

PAGE = ROOT / "web"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dist/`, and the client's tests beside it."""
    folder = tmp_path_factory.mktemp("js")
    done = tsc("-p", ".", "--outDir", folder / "dist")
    assert done.returncode == 0, done.stdout
    shutil.copytree(FOLDER / "test", folder / "test")
    shutil.copy(FOLDER / "package.json", folder)
    return folder


def test_the_page_carries_what_typescript_makes(compiled: Path) -> None:
    carried = {path.name: path.read_text() for path in (PAGE / "client").iterdir()}
    made = {path.name: path.read_text() for path in (compiled / "dist").glob("*.js")}
    assert made.pop("messages.js").endswith("*/\nexport {};\n"), "types only: the page has no need of it"
    assert carried == made, "make js compiles it anew"


def test_the_page_is_typed(compiled: Path) -> None:
    build = compiled / "build"
    build.mkdir()
    for path in [*PAGE.glob("*.js"), FOLDER / "page.d.ts", FOLDER / "tsconfig.page.json"]:
        shutil.copy(path, build if path.suffix == ".js" else compiled)
    shutil.copytree(compiled / "dist", build / "client")
    done = tsc("-p", compiled / "tsconfig.page.json")
    assert done.returncode == 0, done.stdout


def test_a_browsers_socket_and_that_of_ws_can_be_given(compiled: Path) -> None:
    (compiled / "given.ts").write_text(GIVEN)
    options = "--noEmit --ignoreConfig --strict --target ES2022 --moduleResolution bundler --lib ES2022,DOM"
    done = tsc(*options.split(), compiled / "given.ts")
    assert done.returncode == 0, done.stdout


def test_its_own_tests(compiled: Path) -> None:
    done = subprocess.run([*node(), "--test", "test/"], cwd=compiled, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def run_on_page(folder: Path, tests: str) -> None:
    """Runs tests of the page's modules, which import them from `./page/`."""
    shutil.copytree(PAGE, folder / "page")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "page.test.js").write_text(tests)
    done = subprocess.run([*node(), "--test", "page.test.js"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_page_shows_no_word_that_it_does_not_know(tmp_path: Path) -> None:
    run_on_page(tmp_path, ANSWERS)


def test_no_camera_or_microphone_stays_on_that_nobody_sees(tmp_path: Path) -> None:
    run_on_page(tmp_path, DEVICES)


def test_the_page_asks_again_for_a_key_that_cannot_travel(tmp_path: Path) -> None:
    run_on_page(tmp_path, KEY)


GIVEN = """
import { AudioDetectionClient } from "./dist/index.js";

/** As the types of the package `ws` declare it. */
declare class Ws {
  readonly readyState: 0 | 1 | 2 | 3;
  binaryType: "nodebuffer" | "arraybuffer" | "fragments";
  onopen: ((event: { type: string; target: Ws }) => void) | null;
  onerror: ((event: { error: unknown; message: string }) => void) | null;
  onclose: ((event: { wasClean: boolean; code: number; reason: string }) => void) | null;
  onmessage: ((event: { data: string | ArrayBuffer; target: Ws }) => void) | null;
  constructor(address: null);
  constructor(address: string | URL, options?: { maxPayload?: number });
  constructor(address: string | URL, protocols?: string | string[], options?: { maxPayload?: number });
  send(data: string | ArrayBuffer): void;
  close(code?: number, data?: string): void;
}

class Noted extends WebSocket {}
for (const Socket of [WebSocket, Noted, Ws]) new AudioDetectionClient("ws://localhost", { WebSocket: Socket });
"""

ANSWERS = """
import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { baseURI: "http://localhost/ui/" };
const { faceAnswer, voiceAnswer } = await import("./page/answers.js");
const refused = { code: "internal", requestId: "r", message: /newer than this page, or no Bonafide service/ };

test("of a recording", () => {
  const chunk = { label: "bonafide", score: 0.2 };
  const good = {
    label: "bonafide", score: 0.2, decision: "", request_id: "r", chunks: [chunk, { label: "no_speech" }],
    channels: [{ label: "spoof", score: 0.9, decision: "uncertain", chunks: [chunk] }],
  };
  assert.equal(voiceAnswer(good), good);
  assert.equal(voiceAnswer({ label: "no_speech", chunks: [] }).label, "no_speech");
  const wrong = [{ label: "real" }, { label: "SPOOF" }, { score: undefined }, { score: 2 }];
  for (const changes of [...wrong, { decision: "live" }, { chunks: [{ ...chunk, label: "real" }] }]) {
    assert.throws(() => voiceAnswer({ ...good, ...changes }), refused);
    assert.throws(() => voiceAnswer({ ...good, channels: [{ ...good.channels[0], ...changes }] }), refused);
  }
});

test("of a photo", () => {
  const good = { success: true, predicted_class: "live", is_live: true, probabilities: { fake: 0.1 }, request_id: "r" };
  assert.equal(faceAnswer(good), good);
  const wrong = [{ predicted_class: "real" }, { is_live: false }, { predicted_class: "fake" }, { decision: "live" }];
  for (const changes of [...wrong, { probabilities: { fake: 10 } }]) {
    assert.throws(() => faceAnswer({ ...good, ...changes }), refused);
  }
  const unread = { success: false, error_code: "unreadable_media", error_message: "no image", request_id: "r" };
  assert.throws(() => faceAnswer(unread), { code: "unreadable_media", message: "no image" });
});
"""

DEVICES = """
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Camera } from "./page/camera.js";
import { Microphone } from "./page/microphone.js";

class Stream {
  on = true;
  listeners = [];

  getTracks() {
    return [{ stop: () => (this.on = false), addEventListener: (...listener) => this.listeners.push(listener) }];
  }

  tell(event) {
    for (const [name, listener] of this.listeners) if (name === event) listener();
  }
}

/** The browser asks the user first: `allow` is their answer. */
const asked = [];
const getUserMedia = () => new Promise((allow) => asked.push(() => allow(new Stream())));
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } } });

async function allowed() {
  const answers = asked.splice(0);
  for (const allow of answers) allow();
  await new Promise(setImmediate);
}

const screen = () => ({ srcObject: null, play: async () => {} });

test("a camera that is closed before the user has allowed it", async () => {
  const seen = [];
  const video = { play: async () => {}, set srcObject(stream) { seen.push(stream); } };
  const camera = new Camera(video);
  const opened = camera.open();
  camera.close();
  await allowed();
  assert.equal(await opened, false);
  assert.equal(camera.stream, null);
  assert.deepEqual(seen.filter(Boolean), []);
});

test("a camera that is asked for twice", async () => {
  const camera = new Camera(screen());
  const streams = [];
  const opened = [camera.open(), camera.open()];
  for (const allow of asked.splice(0)) {
    allow();
    await new Promise(setImmediate);
    streams.push(camera.stream);
  }
  assert.deepEqual(await Promise.all(opened), [false, true]);
  assert.equal(camera.stream.on, true);
  const { stream } = camera;
  camera.close();
  assert.equal(stream.on, false);
});

test("a camera whose picture does not play", async () => {
  const camera = new Camera({ srcObject: null, play: () => Promise.reject(new Error("no picture")) });
  const opened = camera.open();
  const told = assert.rejects(opened, /no picture/);
  await allowed();
  await told;
  assert.equal(camera.stream, null);
});

test("a camera that is taken away", async () => {
  let taken = 0;
  const camera = new Camera(screen(), () => taken++);
  const streams = [];
  for (const _ of [1, 2]) {
    camera.close();
    const opened = camera.open();
    await allowed();
    await opened;
    streams.push(camera.stream);
  }
  for (const stream of streams) stream.tell("ended");
  assert.equal(taken, 1, "of the one that is open");
});

test("a microphone whose audio thread has stopped", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.AudioWorkletNode = class {
    port = { onmessage: null, postMessage() {} };
  };
  const stream = new Stream();
  let closed = false;
  const context = { createMediaStreamSource: () => ({ connect() {} }), close: async () => (closed = true) };
  const closing = new Microphone(stream, context, () => {}, () => {}).close();
  mock.timers.tick(10_000);
  await closing;
  assert.deepEqual([stream.on, closed], [false, true]);
});
"""

KEY = """
import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { baseURI: "http://localhost/ui/" };
globalThis.fetch = () => assert.fail("nothing is asked");
const { modelStatus, useKey } = await import("./page/service.js");

test("as one typed with another keyboard", async () => {
  useKey("\u043a\u043b\u044e\u0447");
  await assert.rejects(modelStatus(), { code: "unauthenticated" });
});
"""
