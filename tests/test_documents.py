"""What documents and programs refer to by name is there: tests in documents, documents in programs, links."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_TESTS = re.compile(r"`([\w/]*test_\w+\.py)` \(((?:`test_\w+(?:\.\.\.)?`(?:, )?)+)")
_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)")
_NOT_OURS = frozenset({"node_modules", "build", "dist", "__pycache__"})
_DOCUMENT = re.compile(r"\bdocs/[\w-]+\.md\b")


def files(*endings: str) -> list[Path]:
    """Of the project, without what was built, installed or downloaded into its folder."""
    found: list[Path] = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not name.startswith(".") and name not in _NOT_OURS]
        found += [Path(folder, name) for name in names if name.endswith(endings)]
    return sorted(found)


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for name, anchor in _LINK.findall(document.read_text()):
        target = document.parent / name if name else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield f"{name}#{anchor}"


@pytest.mark.parametrize("document", files(".md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_links_and_names_what_is_there(document: Path) -> None:
    absent = list(broken_links(document))
    for name, tests in _TESTS.findall(document.read_text()):
        found = "".join(path.read_text() for path in files(Path(name).name) if str(path).endswith(f"/{name}"))
        prefixes = [test.removesuffix("...") for test in re.findall(r"`([^`]+)`", tests)]
        absent += [f"{name}: {prefix}" for prefix in prefixes if f"def {prefix}" not in found]
    assert absent == []


def test_documents_that_programs_name_are_there() -> None:
    named = {name for path in files(".py", ".proto", ".yaml", ".go") for name in _DOCUMENT.findall(path.read_text())}
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []
