"""The published pair as a teacher."""

from pathlib import Path

import numpy as np
import pytest

from lab.training.face_pair import WIDTH, PublishedPair
from tests.published import WEIGHTS, needs_weights, reference


@needs_weights
def test_probabilities_are_those_of_the_authors_programs() -> None:
    """Pictures of the networks' own size are not resized, so that both filters give the same."""
    names = ("minifasnet-v2-2.7-80x80", "minifasnet-v1se-4.0-80x80")
    logits = [reference(name) for name in names]
    live = np.mean([np.exp(each)[:, 1] / np.exp(each).sum(1) for each in logits], 0)
    pictures = reference("images_bgr")[..., ::-1]
    opinion = PublishedPair(WEIGHTS).judge([(picture, picture) for picture in pictures])
    np.testing.assert_allclose(1 / (1 + np.exp(opinion.fake)), live, atol=1e-4)
    assert opinion.seen.shape == (len(pictures), WIDTH)
    assert opinion.seen.std(0).min() > 0


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="minifasnet-v2"):
        PublishedPair(tmp_path)
