from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed (dependency group scan)")

from scan.manifest import Manifest, Part, read_manifest
from scan.result_storage import FolderStorage
from scan.source import WrongUse

WHOLE = Manifest({"archive": "s3://calls/", "task": "voice"}, "a", (Part("recordings/1", "windows/1", 2, 3),))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    assert read_manifest(storage) is None
    storage.write("manifest.json", WHOLE.to_json())
    assert read_manifest(storage) == WHOLE


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"\xff", b'{"format": 1}', b'{"format": 1, "scan": [], "parts": []}']
    + [WHOLE.to_json().replace(*each) for each in ((b'"rows"', b'"row"'), (b'"windows/1"', b'"windows/1'))],
)
def test_what_is_none_is_said(content: bytes, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    storage.write("manifest.json", content)
    with pytest.raises(WrongUse, match="there is no manifest of a scan"):
        read_manifest(storage)


def test_that_of_a_later_release_is_said(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, 0)
    storage.write("manifest.json", WHOLE.to_json().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(WrongUse, match="has format 2; this release reads 1"):
        read_manifest(storage)
