"""What documents and programs refer to by name is there: tests in documents, documents in programs, links."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_TESTS = re.compile(r"`([\w/]*test_\w+\.py)` \(((?:`test_\w+(?:\.\.\.)?`(?:, )?)+)")
_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)")
_DOCUMENT = re.compile(r"\bdocs/[\w-]+\.md\b")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for name, anchor in _LINK.findall(document.read_text()):
        target = document.parent / name if name else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield f"{name}#{anchor}"


@pytest.mark.parametrize("document", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_links_and_names_what_is_there(document: Path) -> None:
    absent = list(broken_links(document))
    for name, tests in _TESTS.findall(document.read_text()):
        found = "".join(path.read_text() for path in tracked(f"*/{Path(name).name}") if str(path).endswith(f"/{name}"))
        prefixes = [test.removesuffix("...") for test in re.findall(r"`([^`]+)`", tests)]
        absent += [f"{name}: {prefix}" for prefix in prefixes if f"def {prefix}" not in found]
    assert absent == []


def test_documents_that_programs_name_are_there() -> None:
    named = {
        name for path in tracked("*.py", "*.proto", "*.yaml", "*.go") for name in _DOCUMENT.findall(path.read_text())
    }
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []
