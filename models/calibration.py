"""Calibration: turns a model's scores into probabilities, and sets the threshold that goes with them.

Kept as `calibration.json` beside the weights (beside `x.pth`: `x.calibration.json`), written by `lab.calibrate`,
applied by the detectors after either engine.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.atomic import atomic
from models.errors import UnsupportedModel
from models.info import SCORE_BINS, ScoreCounts, score_bin
from models.json_files import named_once

Floats = NDArray[np.float64]
SHARPEST = 1e-6
"""Probabilities are taken as at least this far from 0 and 1: single precision cannot distinguish more extreme ones."""
_EVEN_ODDS = ("platt", "temperature", "weights")
"""Methods of `lab.calibrate` that fit probabilities; `none` fits the threshold alone."""
_WAY_OUT = "fit it again with `python -m lab.calibrate`, or remove it"


@dataclass(frozen=True)
class Calibration:
    """Calibrated P(spoof) is `sigmoid(scale * logit(score) + offset)`, which never changes the order of scores.

    Of an ensemble it may have weights: then it is `sigmoid(weights @ logit(members' scores) + offset)`.

    Attributes:
        scale: above 0; 1 with weights.
        offset: in logits.
        threshold: a calibrated score at or above it is labelled spoof, 0..1.
        weights_version: of the uncalibrated model that it was fitted to.
        fitted: how and on what it was fitted, as information.
        weights: of an ensemble's members, 0 or more; none: the ensemble's own rule counts, as of a single model.
        scores: calibrated, of what it was fitted to; None: they were not kept. Of no effect on any score.
        uncertain: between these two calibrated scores nothing is decided; None: every score is.
    """

    scale: float
    offset: float
    threshold: float
    weights_version: str
    fitted: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[float, ...] = ()
    scores: ScoreCounts | None = None
    uncertain: tuple[float, float] | None = None

    @property
    def version(self) -> str:
        """12 hex digits over the weights' version and everything that changes a score or a label."""
        weights = [list(self.weights)] if self.weights else []
        band = [{"uncertain": list(self.uncertain)}] if self.uncertain else []
        facts = json.dumps([self.weights_version, self.scale, self.offset, self.threshold, *weights, *band])
        return hashlib.sha256(facts.encode()).hexdigest()[:12]

    @property
    def prior_log_odds(self) -> float | None:
        """Log prior odds of spoof under which its probabilities hold; None: they were not fitted, or who knows how.

        `lab.calibrate` weighs both classes the same, whatever their numbers: 0.
        """
        return 0.0 if self.fitted.get("method") in _EVEN_ODDS else None

    def apply(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated scores, float32 (n,); NaN stays NaN."""
        return (1.0 / (1.0 + np.exp(-(self.scale * logits(scores) + self.offset)))).astype(np.float32)


def calibration_path(model: Path) -> Path:
    """Path of the calibration of a folder or `.pth` file."""
    return model.with_suffix(".calibration.json") if model.is_file() else model / "calibration.json"


def read_calibration(model: Path, weights_version: str, members: int = 0) -> Calibration | None:
    """The calibration beside a model's weights, or None.

    Args:
        model: the folder or `.pth` file.
        weights_version: of the model as it is now, uncalibrated.
        members: of an ensemble.

    Raises:
        UnsupportedModel: the file is broken, would invert scores, or was fitted to other weights, another
            preparation or another label mapping.
    """
    path = calibration_path(model)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=named_once)
        numbers = {name: float(content[name]) for name in ("scale", "offset", "threshold")}
        found = Calibration(
            **numbers,
            weights_version=str(content["weights_version"]),
            fitted=dict(content["fitted"]),
            weights=tuple(map(float, content.get("weights", ()))),
            scores=ScoreCounts.from_dict(content["scores"]) if content.get("scores") is not None else None,
            uncertain=_band(content.get("uncertain")),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UnsupportedModel(f"{path} cannot be read as a calibration ({error!r}); {_WAY_OUT}") from error
    if not all(map(math.isfinite, numbers.values())) or found.scale <= 0 or not 0 <= found.threshold <= 1:
        raise UnsupportedModel(f"{path} holds numbers that no calibration has: {numbers}; {_WAY_OUT}")
    if found.weights and (
        len(found.weights) != members
        or not any(found.weights)
        or not all(0 <= each < math.inf for each in found.weights)
    ):
        raise UnsupportedModel(f"{path} holds weights that its {members} members cannot have; {_WAY_OUT}")
    if found.uncertain and not 0 <= found.uncertain[0] <= found.uncertain[1] <= 1:
        raise UnsupportedModel(f"{path} holds a band {found.uncertain} that no scores lie in; {_WAY_OUT}")
    if found.weights_version != weights_version:
        raise UnsupportedModel(
            f"{path} was fitted to version {found.weights_version}, and the weights, configuration or label mapping "
            f"beside it are version {weights_version}; {_WAY_OUT}"
        )
    return found


def _band(content: Any) -> tuple[float, float] | None:
    if content is None:
        return None
    lower, upper = content
    return float(lower), float(upper)


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Writes a calibration atomically."""
    content = {
        "scale": calibration.scale,
        "offset": calibration.offset,
        "threshold": calibration.threshold,
        "weights_version": calibration.weights_version,
        **({"weights": list(calibration.weights)} if calibration.weights else {}),
        **({"scores": asdict(calibration.scores)} if calibration.scores else {}),
        **({"uncertain": list(calibration.uncertain)} if calibration.uncertain else {}),
        "fitted": dict(calibration.fitted),
    }
    with atomic(path) as fresh:
        fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def score_counts(scores: ArrayLike, spoof: ArrayLike) -> ScoreCounts:
    """Counts calibrated scores by class.

    Args:
        scores: (n,), 0..1, all finite.
        spoof: bool (n,), both classes.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(spoof, np.bool_)
    bins = np.array([score_bin(value) for value in values.tolist()])
    bonafide, spoofs = (np.bincount(bins[each], minlength=SCORE_BINS).tolist() for each in (~truth, truth))
    return ScoreCounts(tuple(bonafide), tuple(spoofs))


def logits(scores: ArrayLike) -> Floats:
    """Log odds of probabilities, kept finite."""
    sure = np.clip(np.asarray(scores, np.float64), SHARPEST, 1.0 - SHARPEST)
    return np.log(sure / (1.0 - sure))
