from benchmarks.tables import machine, markdown_table


def test_columns_line_up_in_plain_text() -> None:
    assert markdown_table(("name", "ms"), [("a", "1"), ("longer", "12345")]) == (
        "| name   |    ms |\n| ------ | ----: |\n| a      |     1 |\n| longer | 12345 |"
    )


def test_the_machine_is_described_not_named() -> None:
    text = machine()
    assert "cores" in text
    assert "bentoml 1.4.39" in text
    assert "/" not in text.replace("avx", "")
