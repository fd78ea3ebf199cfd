"""The published pair as a teacher."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lab.training.face_pair import STAGES, WIDTH, PublishedPair
from tests.published import WEIGHTS, needs_weights, reference


@needs_weights
def test_probabilities_are_those_of_the_authors_programs() -> None:
    names = ("minifasnet-v2-2.7-80x80", "minifasnet-v1se-4.0-80x80")
    logits = [reference(name) for name in names]
    live = np.mean([np.exp(each)[:, 1] / np.exp(each).sum(1) for each in logits], 0)
    pictures = torch.from_numpy(reference("images_bgr")[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)) / 255
    opinion = PublishedPair(WEIGHTS, 1).judge(pictures, pictures)
    np.testing.assert_allclose(torch.sigmoid(opinion.fake), 1 - np.clip(live, 1e-3, 1 - 1e-3), atol=1e-4)
    assert opinion.seen.shape == (len(pictures), WIDTH)
    assert opinion.seen.std(0).min() > 0
    for maps in (opinion.near, opinion.wide):
        assert [tuple(each.shape[1:]) for each in maps] == [(64, 20, 20), (128, 10, 10), (128, 5, 5)]
        assert len(maps) == len(STAGES)
    assert all(not torch.equal(first, second) for first, second in zip(opinion.near, opinion.wide, strict=True))


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="minifasnet-v2"):
        PublishedPair(tmp_path, 1)
