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
