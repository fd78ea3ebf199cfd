"""The figures of a scan, from moments that are given."""

import pytest

pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")

from benchmarks.bare_engine import Turn
from benchmarks.scan import Judged, Measured, million_hours, spent, table


def measured(every_s: float) -> Measured:
    """100 recordings of two windows, one each `every_s` seconds from 30 s on; a window costs 40 ms."""
    judged = Judged([(30 + every_s * index, 2) for index in range(100)])
    per_s = 2 / every_s
    kinds = {"scoring": 0.03, "reading": 0.004, "decoding": 0.003, "driver": 0.002, "rest of Ray": 0.001}
    moments = [step / 2 for step in range(int(2 * (40 + 100 * every_s)))]
    cpu = [(at, {kind: cost * per_s * max(0.0, at - 30) for kind, cost in kinds.items()}) for at in moments]
    return Measured(100, judged, 30.0, 40 + 100 * every_s, cpu, [Turn(0.02, 0.03), Turn(0.03, 0.03)])


def test_pace_and_cost_are_those_after_the_first_tenth() -> None:
    row = measured(0.5)
    assert row.judged.pace() == pytest.approx((2.0, 4.0))
    assert sum(row.cpu_of_window().values()) == pytest.approx(0.04, rel=0.05)
    cells = [cell.strip() for cell in table([row]).splitlines()[-1].strip("|").split("|")]
    assert cells[:8] == ["100", "200", "30", "90", "2.0", "4.0", "40.0", "0.10"]
    assert float(cells[-1]) == pytest.approx(0.75, rel=0.05)
    assert spent(row).startswith("scoring ")


def test_a_short_scan_has_no_pace() -> None:
    row = measured(0.05)
    assert not row.judged.has_pace
    assert table([row]).splitlines()[-1].count(" - ") == 5


def test_a_million_hours() -> None:
    assert "900 million windows" in million_hours(100.0)
    assert "104 days" in million_hours(100.0)
