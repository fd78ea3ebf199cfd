import pytest

from lab.training.balance import sampling_weights


def test_classes_and_families_are_drawn_evenly() -> None:
    items = [("-", "a")] * 16 + [("-", "b")] * 4 + [("espeak", "v")] * 30 + [("lpc", "a")] * 5
    weights = sampling_weights(*zip(*items, strict=True))
    weights /= weights.sum()
    assert weights[:20].sum() == pytest.approx(0.5)
    assert weights[:16].sum() == pytest.approx(2 * weights[16:20].sum())
    assert weights[20:50].sum() == pytest.approx(0.25)
