import asyncio
import itertools

import pytest

from benchmarks.bare_engine import Turn, best_batch
from benchmarks.load import Phase, closed_loop
from benchmarks.serve import Row, Sizes, cpu_table, rows_of, throughput_table, turn_items

SIZES = Sizes(rounds=2, turn_s=1.0, concurrency=(1, 8), long_s=60)


def row() -> Row:
    return Row(
        "60 s",
        1,
        60,
        15,
        phases=[Phase(2.0, 0.03, [1.0, 1.0]), Phase(4.0, 0.03, [2.5, 1.5])],
        bare=[20.0, 7.5],
        cpu_s=[
            {"voice runner": 3.0, "service": 0.3, "decoding": 0.6},
            {"voice runner": 6.0, "service": 0.9, "decoding": 1.2},
        ],
    )


def test_the_ratio_compares_windows_with_the_bare_turns_around_each_turn() -> None:
    assert row().rates == [15.0, 7.5]
    assert row().ratios == [0.75, 1.0]
    assert "| 60 s |       1 |  13.75 |     11.25 |        0.875 |  0.750..1.000 |   1000 |   2500 |" in (
        throughput_table([row()])
    )


def test_cpu_time_is_told_for_an_item_not_for_a_call() -> None:
    table = cpu_table("voice", [row()], [Turn(1.0, 1.6), Turn(1.0, 2.0)], items=10)
    assert table.splitlines()[-1] == "| 60 s |       1 |   180.0 |     150.0 |       20.0 |        30.0 |       1.0 |"


def test_a_turn_is_made_of_whole_batches_and_never_empty() -> None:
    assert turn_items(13.0, 8.0, 8) == 104
    assert turn_items(0.1, 1.0, 8) == 8


def test_voices_have_a_long_recording_too() -> None:
    assert [(row.seconds, row.items, row.concurrency) for row in rows_of("voice", SIZES)] == [
        (4, 1, 1),
        (4, 1, 8),
        (60, 15, 1),
    ]
    assert [(row.items, row.concurrency) for row in rows_of("face", SIZES)] == [(1, 1), (1, 8)]


async def test_the_closed_loop_keeps_all_callers_busy_and_numbers_every_call_anew() -> None:
    active = 0
    most = 0
    seen: list[int] = []

    async def call(number: int) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        seen.append(number)
        await asyncio.sleep(0.001)
        active -= 1

    phase = await closed_loop(call, itertools.count(7), 50, 8)
    assert sorted(seen) == list(range(7, 57))
    assert most == 8
    assert len(phase.latencies_s) == 50
    assert phase.wall_s >= 7 * 0.001


async def test_a_failed_call_fails_the_benchmark() -> None:
    async def call(number: int) -> None:
        if number == 3:
            raise RuntimeError("no answer")

    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await closed_loop(call, itertools.count(), 10, 2)


def test_the_quickest_batch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: clock)

    def run(batch: int) -> Turn:
        nonlocal clock
        clock += {1: 0.1, 2: 0.15, 4: 0.4}[batch]
        return Turn(0.0, 0.0)

    batch, rate = best_batch([1, 2, 4], run)
    assert batch == 2
    assert rate == pytest.approx(2 / 0.15)
