"""Arrays on disk: complete under their name, or not there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.training.kept_rows import write_rows


def test_rows_are_there_once_all_are(tmp_path: Path) -> None:
    file = tmp_path / "new/rows.npy"

    def rows() -> Iterator[NDArray[np.float64]]:
        for number in range(3):
            assert not file.exists()
            yield np.full(2, float(number))

    write_rows(file, (3, 2), np.float16, rows(), "rows")
    found = np.load(file)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, [[0, 0], [1, 1], [2, 2]])


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_or_too_many_rows_leave_nothing(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        write_rows(tmp_path / "rows.npy", (2, 2), np.float16, [np.zeros(2)] * count, "rows")
    assert not (tmp_path / "rows.npy").exists()
