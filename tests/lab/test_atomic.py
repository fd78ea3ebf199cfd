from pathlib import Path

import pytest

from lab.atomic import atomic


def test_an_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    def stopped() -> None:
        with atomic(tmp_path / "x") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []
