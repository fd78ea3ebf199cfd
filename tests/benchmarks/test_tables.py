from importlib.metadata import version

import pytest

from benchmarks.tables import machine, markdown_table, percentile


def test_columns_line_up_in_plain_text() -> None:
    assert markdown_table(("name", "ms"), [("a", "1"), ("longer", "12345")]) == (
        "| name   |    ms |\n| ------ | ----: |\n| a      |     1 |\n| longer | 12345 |"
    )


def test_the_machine_is_described_not_named() -> None:
    text = machine()
    assert "cores" in text
    assert f"bentoml {version('bentoml')}" in text
    assert "/" not in text.replace("avx", "")


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 5), (51, 6), (99, 10), (100, 10)])
def test_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([3, 1, 2, 5, 4, 10, 9, 8, 7, 6], percent) == expected
