from scan.items import entries_table
from scan.source import Entry


def test_a_short_recording_is_read_before_a_long_one_of_its_task_and_keeps_its_number() -> None:
    sizes = [115_200_000, 32_000, 700_000, 32_000]
    entries = [Entry(f"{index}.wav", "e", size, 0.0) for index, size in enumerate(sizes)]
    rows = entries_table(10, entries).to_pylist()
    assert [(row["ordinal"], row["key"]) for row in rows] == [
        (11, "1.wav"),
        (13, "3.wav"),
        (12, "2.wav"),
        (10, "0.wav"),
    ]
