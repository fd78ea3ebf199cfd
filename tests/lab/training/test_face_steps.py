"""The published pair, looked into from block to block."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lab.training.face_pair import PublishedPair
from lab.training.face_steps import PairSteps
from models.crop_branch import CropBranch
from tests.published import WEIGHTS, needs_weights, reference


@needs_weights
def test_the_ends_are_those_of_the_branches_blocks() -> None:
    pictures = torch.from_numpy(reference("images_bgr")[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)) / 255
    seen = PairSteps(WEIGHTS, 1).of(pictures, pictures)
    blocks = list(CropBranch(80).train(False).blocks)
    assert len(seen) == 2
    for steps in seen:
        values = pictures
        for block, end in zip(blocks[:-1], steps.ends, strict=True):
            assert block(values).shape == end.shape
            values = end
    said = PublishedPair(WEIGHTS, 1).judge(pictures, pictures).fake
    mean = (seen[0].fake + seen[1].fake) / 2
    np.testing.assert_allclose(mean.clamp(1e-3, 1 - 1e-3), torch.sigmoid(said), atol=1e-5)


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="minifasnet-v2"):
        PairSteps(tmp_path, 1)
