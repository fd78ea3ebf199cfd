import pytest

from benchmarks.contenders import OURS, PEERS, WITHOUT
from benchmarks.load import Phase
from benchmarks.peers import (
    Start,
    Turn,
    Turns,
    arguments,
    best_peer,
    disagreement,
    ratio_table,
    ratios,
    speed_table,
    start_table,
)


def turn(rate: float, *, failed: int = 0) -> Turn:
    """Ten calls of 100 ms, each of which costs the server 20 ms and the client 1 ms of a processor."""
    return Turn(Phase(10 / rate, 0.01, [0.1] * 10), 0.2, failed)


def rounds() -> Turns:
    return {
        OURS: [turn(10.0), turn(30.0), turn(12.0)],
        WITHOUT: [turn(20.0), turn(30.0), turn(20.0)],
        "LitServe": [turn(20.0), turn(20.0), turn(20.0)],
        "mosec": [turn(10.0), turn(40.0), turn(10.0)],
    }


def test_scores_that_are_alike_are_accepted() -> None:
    assert disagreement({OURS: [0.1, 0.9], "mosec": [0.1009, 0.8991]}) is None


def test_a_server_that_judges_otherwise_is_named() -> None:
    scores = {OURS: [0.1, 0.9], "mosec": [0.1, 0.9], "LitServe": [0.1, 0.89]}
    assert disagreement(scores) == f"scores of LitServe differ from those of {OURS} by 0.0100"


def test_a_score_less_or_more_is_not_overlooked() -> None:
    with pytest.raises(ValueError, match="shorter"):
        disagreement({OURS: [0.1, 0.9], "mosec": [0.1]})


def test_the_best_peer_is_the_one_with_the_highest_median() -> None:
    assert best_peer(rounds()) == "LitServe"
    assert best_peer({OURS: [turn(10.0)]}) is None


def test_turns_are_compared_within_their_round() -> None:
    assert ratios(rounds(), OURS, "LitServe") == pytest.approx([0.5, 1.5, 0.6])
    assert ratio_table({8: rounds()}).splitlines()[-1].split("|")[1:-1] == [
        " LitServe  ",
        "       8 ",
        " 0.60 (0.50..1.50) ",
        " 1.00 (1.00..1.50) ",
    ]


def test_the_table_has_a_row_for_each_server() -> None:
    lines = speed_table({8: rounds()}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[2] == [OURS, "8", "12.0", "100", "100", "20.0", "1.0", "0"]
    assert [row[0] for row in cells[2:]] == list(rounds())


def test_calls_without_a_score_do_not_count_as_pace() -> None:
    assert turn(10.0, failed=5).rate == pytest.approx(5.0)
    assert speed_table({1: {"mosec": [turn(10.0, failed=5), turn(10.0, failed=2)]}}).endswith("  7 |")


def test_starts_are_medians() -> None:
    table = start_table({"mosec": [Start(3.0, 260.0, 290.0), Start(5.0, 262.0, 300.0), Start(4.0, 264.0, 310.0)]})
    assert [cell.strip() for cell in table.splitlines()[-1].split("|")[1:-1]] == ["mosec", "4.0", "262", "300"]


def test_the_command_line() -> None:
    assert arguments([]).peers == list(PEERS)
    chosen = arguments(["--rounds", "2", "--seconds", "1.5", "--callers", "1", "8", "--peers", "mosec"])
    assert (chosen.rounds, chosen.seconds, chosen.callers, chosen.peers) == (2, 1.5, [1, 8], ["mosec"])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--rounds", "0"], "1 or more"),
        (["--callers", "8", "0"], "1 or more"),
        (["--seconds", "0"], "more than 0"),
        (["--seconds", "nan"], "more than 0"),
        (["--peers", "triton"], "triton"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(wrong)
    assert why in capsys.readouterr().err


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(option in told for option in ("--rounds", "--seconds", "--callers", "--starts", "--peers"))
