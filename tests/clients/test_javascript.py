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


def test_its_own_tests(compiled: Path) -> None:
    done = subprocess.run([*node(), "--test", "test/"], cwd=compiled, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_page_shows_no_word_that_it_does_not_know(tmp_path: Path) -> None:
    page = tmp_path / "page"
    shutil.copytree(PAGE, page)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "answers.test.js").write_text(ANSWERS)
    done = subprocess.run([*node(), "--test", "answers.test.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


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
