from benchmarks.calls import Turn, table


def test_medians_of_the_turns_and_the_sum_of_each_turn() -> None:
    turns = [Turn(10, 100, 30, 5, 3, 1), Turn(40, 90, 33, 4, 1, 1), Turn(20, 300, 20, 9, 2, 4)]
    row = table({(8, "this checkout"): turns}).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["this checkout", "8", "20.0", "100.0", "30.0", "5.0", "2.0", "1.0", "38.0"]
