"""Actors of Ray that hold a model, loaded as a runner of the service loads it: tables of items in, of numbers out."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from models.configured import PhotoScorer, WindowScorer, load_options, reference_of, settings_for
from models.info import ModelInfo, Task
from scan.items import SCORED
from scan.ray_errors import OtherModel


def load_scorer(task: Task, given: tuple[tuple[str, Any], ...]) -> WindowScorer | PhotoScorer:
    """The model in the settings.

    Raises:
        ModelError: it cannot be loaded.
    """
    settings = settings_for(task, **dict(given))
    load = WindowScorer.load if task == "voice" else PhotoScorer.load
    return load(reference_of(task, settings), load_options(task, settings))


def described_model(task: Task, given: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The description of the model where this runs, see `ModelInfo.to_dict`."""
    return load_scorer(task, given).info.to_dict()


class Scorer:
    """Scores windows of many recordings together, or photos.

    Args:
        task: which model.
        given: settings that the scan passes on.
        fingerprint: that the model must have.

    Raises:
        ModelError: it cannot be loaded.
        OtherModel: it is another one.
    """

    def __init__(self, task: Task, given: tuple[tuple[str, Any], ...], fingerprint: str) -> None:
        self._model = load_scorer(task, given)
        info: ModelInfo = self._model.info
        if info.fingerprint != fingerprint:
            raise OtherModel(
                f"this machine would judge by {info.fingerprint}, another by {fingerprint}: set BONAFIDE_PRECISION and "
                "BONAFIDE_ENGINE to what all machines have"
            )
        self._shape = (-1,) if task == "voice" else info.picture_shape
        self._dtype: type[np.generic] = np.int16 if task == "voice" else np.uint8

    def __call__(self, items: pa.Table) -> pa.Table:
        """The numbers of each item that is one.

        Raises:
            InferenceFailed: the engine is broken.
        """
        cells = items["item"]
        given = [index for index in range(items.num_rows) if cells[index].is_valid]
        arrays = [np.frombuffer(cells[index].as_buffer(), self._dtype).reshape(self._shape) for index in given]
        judged: list[str | None] = [None] * items.num_rows
        if arrays:
            scores: Any = self._model.score(arrays)
            for index, found in zip(given, scores, strict=True):
                judged[index] = json.dumps(found.numbers)
        numbers = pa.array(judged, pa.string())
        columns = [numbers if name == "judged" else items[name] for name in SCORED.names]
        return pa.Table.from_arrays(columns, schema=SCORED)
