"""What detectors of both tasks share: an engine, the calibration beside the weights, and their description."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration
from models.card import notice
from models.catalog import ModelFiles
from models.engine import Engine
from models.info import ModelInfo, Task
from models.labels import SpoofRule
from models.scoring import score_each


class ItemScores(NamedTuple):
    """Scores of items.

    Attributes:
        scores: P(spoof) of each, float32 `(n,)`; NaN where there is none.
        members: of an ensemble, those of each member, float32 `(n, members)`; of a single model `(n, 0)`.
    """

    scores: NDArray[np.float32]
    members: NDArray[np.float32]


class LoadedModel(Protocol):
    """A loaded model, single or an ensemble.

    Attributes:
        info: what it is and how it runs.
    """

    info: ModelInfo

    def score(self, items: list[NDArray[Any]], /) -> NDArray[np.float32]:
        """P(spoof) of each item, float32 `(n,)` in 0..1; NaN for one that cannot be scored.

        Raises:
            InferenceFailed: the engine itself is broken.
        """

    def judge(self, items: list[NDArray[Any]], /) -> ItemScores:
        """The same, with the members' scores."""


class Detector(ABC):
    """A loaded single model.

    Attributes:
        info: what it is and how it runs.
    """

    def __init__(self, engine: Engine, info: ModelInfo, calibration: Calibration | None) -> None:
        self.info = info
        self._engine = engine
        self._calibration = calibration

    @abstractmethod
    def score(self, items: list[NDArray[Any]], /) -> NDArray[np.float32]:
        """See `LoadedModel`."""

    def judge(self, items: list[NDArray[Any]], /) -> ItemScores:
        """See `LoadedModel`."""
        return ItemScores(self.score(items), np.zeros((len(items), 0), np.float32))

    def _score(self, items: Sequence[Any], fits: Callable[[NDArray[Any]], bool]) -> NDArray[np.float32]:
        """Scores, calibrated if there is a calibration; see `score_each`."""
        return self._calibrated(score_each(self._engine, items, fits))

    def _calibrated(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._calibration.apply(scores) if self._calibration else scores


def model_info(
    files: ModelFiles,
    engine: Engine,
    calibration: Calibration | None,
    *,
    task: Task,
    version: str,
    architecture: str,
    labels: tuple[str, ...],
    rule: SpoofRule,
    name: str | None = None,
) -> ModelInfo:
    """The description that models of either task share.

    `version` is that of the uncalibrated model, `name` its own for itself; None: that of its files.
    """
    return ModelInfo(
        task=task,
        name=name or files.name,
        version=calibration.version if calibration else version,
        architecture=architecture,
        reference=files.reference,
        local_path=str(files.path),
        demo=files.demo,
        labels=labels,
        spoof_index=None if rule.inverted else rule.index,
        engine=engine.name,
        device=engine.device,
        precision=engine.precision,
        max_batch_size=engine.max_batch_size,
        threshold=calibration.threshold if calibration else None,
        calibrated=calibration is not None,
        fitted_scores=calibration.scores if calibration else None,
        notice=notice(files.path),
        prior_log_odds=calibration.prior_log_odds if calibration else None,
        uncertain=calibration.uncertain if calibration else None,
    )
