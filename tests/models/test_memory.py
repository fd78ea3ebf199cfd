"""Whether a second model fits: sizes of weights, and what a container's limit leaves."""

from pathlib import Path

import psutil
import pytest

from models import memory
from models.errors import NoMemory
from models.memory import free_memory, require_memory, weight_bytes

MIB = 1024 * 1024


def test_weights_are_counted_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(100))
    (tmp_path / "part").mkdir()
    (tmp_path / "part/model.bin").write_bytes(bytes(20))
    (tmp_path / "README.md").write_bytes(bytes(1000))
    assert weight_bytes(tmp_path) == 120
    assert weight_bytes(tmp_path / "model.safetensors") == 100


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_container_may_take_is_its_limit_less_what_it_holds(tmp_path: Path, version: int) -> None:
    names = ("memory.max", "memory.current", "inactive_file")
    folder = tmp_path
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        folder = tmp_path / "memory"
        folder.mkdir()
    (folder / names[0]).write_text("1000000\n")
    (folder / names[1]).write_text("700000\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} 200000\n")
    assert free_memory(tmp_path) == 500_000


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700000\n")
    for folder in (tmp_path, tmp_path / "none"):
        assert free_memory(folder) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_model_that_does_not_fit_is_refused_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(10 * MIB))
    monkeypatch.setattr(memory, "free_memory", lambda: 300 * MIB)
    require_memory([tmp_path], "cpu")
    monkeypatch.setattr(memory, "free_memory", lambda: 285 * MIB)
    with pytest.raises(NoMemory, match="may need 286 MiB of memory, and 285 MiB are free"):
        require_memory([tmp_path], "cpu")
