"""What a task says of objects that it cannot read, beside those that it can."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed (dependency group scan)")

from bonafide.decoders.processes import Template
from bonafide.errors import Unavailable
from bonafide.settings import Settings
from models.info import ImageGeometry, Task
from scan.decode import DecodeJob, decoded
from scan.items import Whole, entries_table
from scan.listing import listed
from scan.options import Options
from scan.selection import Selection
from scan.source import Source
from tests.media import encode, encode_image, photo, speech_like

LIMITS = {"max_audio_bytes": 100_000}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "ok.wav").write_bytes(encode(speech_like(1), 16_000))
    (folder / "big.wav").write_bytes(b"-" * 100_001)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.wav")).write_bytes(b"-")
    return folder


def codes(
    archive: Path, names: list[str] | None, task: Task = "voice", limits: Mapping[str, int] = LIMITS
) -> Iterator[tuple[str, str | None, str | None]]:
    """Of each object: its key, and what is wrong with it."""
    settings = Settings.model_validate(limits)
    source = Source.at(str(archive), settings)
    options = Options(str(archive), str(archive.parent / "out"), task, Selection(), keys=names, patience_s=0.0)
    entries = [entry for entry in listed(source, options, settings) if options.selection.takes(entry)]
    geometries = () if task == "voice" else (ImageGeometry(None, 8, 8, None, None, 2),)
    job = DecodeJob(source, task, tuple(limits.items()), geometries, 0, 0.0)
    for table in decoded(entries_table(0, entries), job):
        for row in table.to_pylist():
            if row["whole"] is not None:
                whole = Whole.from_json(row["whole"])
                assert row["etag"] == whole.entry.etag
                yield whole.entry.key, whole.error_code, whole.error_message


def test_each_listed_key_has_the_code_of_what_is_wrong_with_it(archive: Path) -> None:
    names = ["ok.wav", "big.wav", "gone.wav", "./ok.wav", "../x", "x" * 2_000, "a\x07b"]
    assert {key: code for key, code, _ in codes(archive, names)} == {
        "ok.wav": None,
        "big.wav": "too_large",
        "gone.wav": "object_not_found",
        **dict.fromkeys(names[3:], "invalid_request"),
    }


@pytest.mark.parametrize("names", [None, ["ok.jpg", "big.jpg"]])
def test_a_photo_may_have_what_a_photo_may_have(names: list[str] | None, tmp_path: Path) -> None:
    (archive := tmp_path / "archive").mkdir()
    (archive / "ok.jpg").write_bytes(encode_image(photo()))
    (archive / "big.jpg").write_bytes(b"-" * 100_001)
    found = codes(archive, names, "face", {"max_audio_bytes": 1000, "max_image_bytes": 100_000})
    assert {key: (code, message) for key, code, message in found} == {
        "ok.jpg": (None, None),
        "big.jpg": ("too_large", "the object has 100001 bytes, more than the limit of 100000"),
    }


def test_a_file_whose_name_is_not_utf_8_is_told_as_such(archive: Path) -> None:
    found = {key: (code, message) for key, code, message in codes(archive, None)}
    assert found == {
        "ok.wav": (None, None),
        "big.wav": ("too_large", "the object has 100001 bytes, more than the limit of 100000"),
        r"./caf\xe9.wav": ("invalid_request", "the file's name is not UTF-8"),
    }


def test_where_nothing_can_be_decoded_no_object_is_told_to_be_unreadable(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Template, "of_process", Template)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with closing(asyncio.new_event_loop()) as loop:
        monkeypatch.setattr(asyncio, "new_event_loop", lambda: loop)
        with pytest.raises(Unavailable, match="no decoding process"):
            list(codes(archive, None))
