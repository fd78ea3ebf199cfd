import pytest

from bonafide.verdict import overall_score


def test_windows_weigh_by_their_seconds() -> None:
    assert overall_score([0.9, 0.1], [4.0, 1.0]) == pytest.approx((0.9 * 4 + 0.1) / 5)
    assert overall_score([0.3], [0.5]) == pytest.approx(0.3)


@pytest.mark.parametrize(("scores", "seconds"), [([], []), ([0.1], [1.0, 2.0])])
def test_what_has_no_verdict(scores: list[float], seconds: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no score|zip"):
        overall_score(scores, seconds)
