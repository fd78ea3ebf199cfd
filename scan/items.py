"""What travels from decoding to scoring and on to the verdict: a row for each window or photo, as Arrow tables.

The last row of an object also has what is known of all of it (`Whole`); one without an item has that alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scan.source import Entry

ENTRIES = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("key", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.float64()),
    ]
)
"""Objects that are to be judged, numbered through a pass."""

ITEMS = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("index", pa.int32()),
        ("item", pa.large_binary()),
        ("about", pa.string()),
        ("etag", pa.string()),
        ("whole", pa.string()),
    ]
)
"""`item`: int16 samples, or uint8 pixels as `ModelInfo.picture_shape`; `about`: what else is known of it, as JSON;
`etag`: of the object when it was read, since a task that is repeated may find another state of it.
"""

SCORED = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("index", pa.int32()),
        ("judged", pa.string()),
        ("about", pa.string()),
        ("etag", pa.string()),
        ("whole", pa.string()),
    ]
)
"""As `ITEMS`, with the numbers of the model as JSON in the place of the item."""


class Item(NamedTuple):
    """A window or a photo.

    Attributes:
        array: what the model gets; None: there is nothing to score.
        about: what else is known of it.
    """

    array: NDArray[Any] | None
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Whole:
    """What is known of an object when all of it was read, or could not be.

    Attributes:
        entry: as it was read, which may be newer than as it was listed.
        content_id: of its bytes; None: they were not read.
        codec: see `media_format`; None: likewise.
        sample_rate: Hz; None: not known.
        state: what its decoder says at the end.
        error_code: of `ErrorCode`; None: it was read.
        error_message: in a sentence.
    """

    entry: Entry
    content_id: str | None = None
    codec: str | None = None
    sample_rate: int | None = None
    state: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps({**{each.name: getattr(self, each.name) for each in fields(self)}, "entry": list(self.entry)})

    @classmethod
    def from_json(cls, text: str) -> "Whole":
        """Reads what `to_json` gave."""
        values = json.loads(text)
        return cls(**{**values, "entry": Entry(*values["entry"])})


def entries_table(first: int, entries: Sequence[Entry]) -> pa.Table:
    """Objects as a table of `ENTRIES`, numbered from `first` on; small ones first, as they are read in this order."""
    rows = [{"ordinal": first + index, **entry._asdict()} for index, entry in enumerate(entries)]
    rows.sort(key=lambda row: row["size"])
    return pa.Table.from_pylist(rows, ENTRIES)


def items_table(ordinal: int, first: int, items: Sequence[Item], etag: str, whole: Whole | None) -> pa.Table:
    """Items of an object as a table of `ITEMS`, numbered from `first` on; `whole` belongs to the last of them."""
    rows = [
        {
            "ordinal": ordinal,
            "index": first + index,
            "item": None if item.array is None else np.ascontiguousarray(item.array).tobytes(),
            "about": json.dumps(item.about),
            "etag": etag,
            "whole": None,
        }
        for index, item in enumerate(items)
    ]
    if whole is not None:
        rows[-1]["whole"] = whole.to_json()
    return pa.Table.from_pylist(rows, ITEMS)


def without_array(item: Any, array: str) -> dict[str, Any]:
    """The fields of a dataclass without the one that holds its samples or pixels."""
    return {each.name: getattr(item, each.name) for each in fields(item) if each.name != array}
