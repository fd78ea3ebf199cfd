"""What is made of scored items that come in any order, several times, or of several states of an object."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed (dependency group scan)")

from scan.items import Whole
from scan.options import Options
from scan.progress import Progress
from scan.selection import Selection
from scan.sink import Sink
from scan.source import Entry
from scan.verdicts import Rows, ScoredItem

ENTRY = Entry("call.wav", "old", 1, 0.0)


class Kept:
    """Result and verdicts: the etag of each object with the numbers of its items."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    async def rows_of(self, whole: Whole, items: Sequence[ScoredItem]) -> Rows:
        judged = {"etag": whole.entry.etag, "judged": [item.judged for item in items], "error_code": whole.error_code}
        return Rows(judged, [])

    def add(self, recordings: Sequence[dict[str, Any]], _: Sequence[dict[str, Any]]) -> None:
        self.rows += recordings


def item(index: int, etag: str, *, last: bool = False) -> dict[str, Any]:
    whole = Whole(ENTRY._replace(etag=etag)).to_json() if last else None
    return {"ordinal": 0, "index": index, "judged": f'"{etag}{index}"', "about": "{}", "etag": etag, "whole": whole}


def taken(*rows: dict[str, Any]) -> tuple[list[Any], list[Entry]]:
    """The etags and numbers of what was committed, and the objects that are left."""
    kept, options = Kept(), Options("calls", "out", "voice", Selection())
    verdicts = cast(Any, type("Verdicts", (), {"rows": staticmethod(kept.rows_of)}))
    sink = Sink(cast(Any, kept), verdicts, "calls", options, Progress(total=1), lambda _: None)
    sink.take([ENTRY], iter(rows))
    return [(row["etag"], row["judged"]) for row in kept.rows], sink.left([ENTRY])


def test_items_come_in_any_order_and_again() -> None:
    rows = item(2, "old", last=True), item(0, "old"), item(0, "old"), item(1, "old"), item(1, "old")
    assert taken(*rows) == ([("old", ["old0", "old1", "old2"])], [])


def test_a_verdict_is_on_one_state_of_an_object_where_a_task_is_repeated_and_the_object_was_replaced() -> None:
    before = item(0, "old"), item(1, "old")
    assert taken(*before, item(2, "new", last=True)) == ([], [ENTRY]), "its next pass reads it whole"
    after = item(2, "new", last=True), item(0, "new"), item(1, "new")
    assert taken(*before, *after) == ([("new", ["new0", "new1", "new2"])], [])
    assert taken(item(2, "old", last=True), item(0, "new"), item(1, "new", last=True)) == (
        [("new", ["new0", "new1"])],
        [],
    )
