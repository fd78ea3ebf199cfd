"""Labelled files as model input from the service's decoder: read once, kept as one array on disk."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.evaluation.scoring import Reader, read_ahead
from lab.evaluation.trials import DataError, Trial
from models.folders import build_once
from models.voice_model import WINDOW_SAMPLES


@dataclass(frozen=True)
class Decoded:
    """Windows or photos of many files.

    Attributes:
        arrays: int16 (n, 64000), short windows repeated, or uint8 (n, height, width, 3), mapped from disk.
        trials: the labelled file of each array, n of them.
        problems: why files have no arrays, by path.
    """

    arrays: NDArray[Any]
    trials: tuple[Trial, ...]
    problems: dict[str, str]

    @property
    def spoof(self) -> NDArray[np.bool_]:
        """The truth, bool (n,)."""
        return np.array([trial.spoof for trial in self.trials], np.bool_)

    @property
    def attacks(self) -> list[str]:
        """Attack family of each array, `-` for bona fide."""
        return [trial.attack for trial in self.trials]


def decoded(
    trials: Sequence[Trial], read: Reader, folder: Path, *, threads: int, advanced: Callable[[int], None]
) -> Decoded:
    """Reads files, or reuses the result of an earlier run.

    Args:
        trials: labelled files.
        read: the service's conversion of a file to parts.
        folder: of the result; complete or absent.
        threads: of reading.
        advanced: called with the number of files just finished.

    Raises:
        DataError: the files of one class have no usable item.
    """

    def fill(fresh: Path) -> None:
        index: dict[str, Any] = {"trial": [], "problems": {}}
        with (fresh / "arrays").open("wb") as file:
            for number, result in enumerate(read_ahead([trial.path for trial in trials], read, threads)):
                for part in result.parts:
                    array = _full(part.array)
                    file.write(array.tobytes())
                    index |= {"shape": array.shape, "dtype": array.dtype.str}
                    index["trial"].append(number)
                if result.problem:
                    index["problems"][str(result.path)] = result.problem
                advanced(1)
        (fresh / "index.json").write_text(json.dumps(index), encoding="utf-8")

    index = json.loads((build_once(folder, fill) / "index.json").read_text(encoding="utf-8"))
    owners = tuple(trials[number] for number in index["trial"])
    if len({owner.spoof for owner in owners}) < 2:
        problem = next(iter(index["problems"].items()), None)
        raise DataError(f"the files of one class give nothing to learn from{f', such as {problem}' if problem else ''}")
    shape = (len(owners), *index["shape"])
    arrays = np.memmap(folder / "arrays", dtype=index["dtype"], mode="r", shape=shape)
    return Decoded(arrays, owners, index["problems"])


def _full(array: NDArray[Any]) -> NDArray[Any]:
    """A window as long as the others, so that they make a batch; `write_model` names this rule. A photo as it is."""
    return np.resize(array, WINDOW_SAMPLES) if array.ndim == 1 else array
