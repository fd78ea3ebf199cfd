"""Values as an auditor reads them."""

import pytest

from scan.report.shown import MAX_TEXT, shown, text
from scan.report.tables import Kind, Value


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "count", "–"),
        (1234567, "count", "1,234,567"),
        (0.1234, "share", "12.3 %"),
        (1234.56, "hours", "1,234.6"),
        (0.98765, "score", "0.988"),
        (0, "seconds", "0:00"),
        (59.97, "seconds", "1:00"),
        (3599.99, "seconds", "1:00:00"),
        (3723.45, "seconds", "1:02:03.4"),
        ("a", "score", "a"),
    ],
)
def test_shown(value: Value, kind: Kind, expected: str) -> None:
    assert shown(value, kind) == expected


def test_a_text_hides_nothing_and_ends() -> None:
    assert text("a\u202eb\u200b\x00\n\xa0é 日") == "a\\u202eb\\u200b\\x00\\n\\xa0é 日"
    assert text("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert text("x" * 10_000) == "x" * MAX_TEXT + "…"
    assert len(text("\u202e" * 10_000)) == MAX_TEXT + 1
