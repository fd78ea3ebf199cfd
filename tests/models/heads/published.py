"""Published weights outside the repository, and the logits of the programs that trained them."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

WEIGHTS = Path(os.environ.get("BONAFIDE_TEST_WEIGHTS") or Path(__file__).parents[4] / "shared/weights")
needs_weights = pytest.mark.skipif(
    not (WEIGHTS / "reference.npz").is_file(),
    reason="no published weights in ../shared/weights (or BONAFIDE_TEST_WEIGHTS)",
)


def reference(name: str) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """Samples (4, 64600) in -1..1, and the logits of a model's own program on them, (4, 2)."""
    with np.load(WEIGHTS / "reference.npz") as content:
        return torch.from_numpy(content["pcm"].astype(np.float32) / 32768), content[name]
