"""Rows of objects that no model needs to see; tests/integration/test_scan.py compares the others with the service."""

import pytest

from bonafide.settings import Settings
from scan.items import Whole
from scan.source import Entry
from scan.verdicts import Verdicts
from tests.bonafide.fakes import MODEL


@pytest.mark.parametrize(
    ("modified", "written"),
    [
        (0.5, "1970-01-01T00:00:00.500000+00:00"),
        (1e12, "9999-12-31T23:59:59+00:00"),
        (-1e12, "0001-01-01T00:00:00+00:00"),
    ],
)
async def test_a_time_that_no_calendar_has_ends_no_scan(modified: float, written: str) -> None:
    whole = Whole(Entry("a.wav", "e", 1, modified), error_code="unreadable_media", error_message="no audio")
    found = await Verdicts(Settings(), MODEL).rows(whole, [])
    assert found.recording["modified"].isoformat() == written
