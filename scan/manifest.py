"""The manifest of a result: what counts in it, and what its rows have in common."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scan.result_storage import ResultStorage
from scan.schema import MANIFEST, MANIFEST_FORMAT
from scan.source import WrongUse


@dataclass(frozen=True)
class Part:
    """Two files that are committed together.

    Attributes:
        recordings: path of the rows of recordings.
        windows: path of those of their windows.
        rows: of recordings.
        window_rows: of windows.
    """

    recordings: str
    windows: str
    rows: int
    window_rows: int

    @property
    def files(self) -> tuple[str, str]:
        """Both paths."""
        return self.recordings, self.windows


@dataclass(frozen=True)
class Manifest:
    """What `scan.schema.MANIFEST` says.

    Attributes:
        scan: what all rows have in common, see `scan.identity`.
        writer: the scan that may write; empty where none is named.
        parts: whatever else lies there does not count.
    """

    scan: Mapping[str, Any]
    writer: str
    parts: tuple[Part, ...]

    def to_json(self) -> bytes:
        """As it is stored."""
        parts = [asdict(part) for part in self.parts]
        said = {"format": MANIFEST_FORMAT, "scan": self.scan, "writer": self.writer, "parts": parts}
        return json.dumps(said, indent=1).encode()


def read_manifest(storage: ResultStorage, name: str = MANIFEST) -> Manifest | None:
    """The manifest of a result; None: there is none of this name.

    Raises:
        WrongUse: it is of a later release, or no manifest.
    """
    content = storage.read(name)
    if content is None:
        return None
    try:
        found = json.loads(content)
        if (given := found["format"]) == MANIFEST_FORMAT:
            return _parsed(found)
    except (ValueError, KeyError, TypeError):
        raise WrongUse(f"{name} there is no manifest of a scan") from None
    raise WrongUse(f"{name} there has format {given}; this release reads {MANIFEST_FORMAT}")


def _parsed(found: Mapping[str, Any]) -> Manifest:
    """Raises KeyError, TypeError or ValueError for what is no manifest of this format."""
    parts = (Part(each["recordings"], each["windows"], each["rows"], each["window_rows"]) for each in found["parts"])
    return Manifest({**found["scan"]}, str(found.get("writer", "")), tuple(parts))
