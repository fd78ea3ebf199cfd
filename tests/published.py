"""Published detectors with the outputs of their authors' programs, which the repository does not hold."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.local_service import ROOT

WEIGHTS = Path(os.environ.get("DETECTOR_WEIGHTS") or ROOT.parent / "shared" / "weights")
needs_weights = pytest.mark.skipif(
    not (WEIGHTS / "reference.npz").is_file(), reason="no published weights: name their folder in DETECTOR_WEIGHTS"
)


def reference(name: str) -> NDArray[Any]:
    """One array of `reference.npz`: `pcm`, `images_bgr`, or the logits of a model under its file's name."""
    with np.load(WEIGHTS / "reference.npz") as content:
        array: NDArray[Any] = content[name]
    return array
