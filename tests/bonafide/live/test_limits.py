import numpy as np
import pytest

from bonafide.audio.levels import LOUDEST
from bonafide.errors import InvalidRequest, UnreadableMedia
from bonafide.live.limits import MAX_RATE, MIN_RATE, LiveConfig, check_rate, check_samples


@pytest.mark.parametrize(
    ("chunk_s", "overlap_s"), [(0.2, 0), (4.1, 0), (1, 0.8), (1, 1), (1, -0.1), (float("nan"), 0), (1, float("nan"))]
)
def test_impossible_windows(chunk_s: float, overlap_s: float) -> None:
    with pytest.raises(InvalidRequest, match="duration"):
        LiveConfig(chunk_s, overlap_s)


def test_rates_at_and_beyond_the_limits() -> None:
    for rate in (MIN_RATE, MAX_RATE):
        check_rate(rate)
    for rate in (MIN_RATE - 1, MAX_RATE + 1):
        with pytest.raises(InvalidRequest, match="8000 to 192000 Hz"):
            check_rate(rate)


def test_samples_at_and_beyond_the_loudest() -> None:
    check_samples(np.zeros(0, np.float32))
    check_samples(np.array([-LOUDEST, LOUDEST], np.float32))
    with pytest.raises(UnreadableMedia, match="another encoding"):
        check_samples(np.array([0.0, -1.01 * LOUDEST], np.float32))
    with pytest.raises(UnreadableMedia, match="not finite"):
        check_samples(np.array([0.0, np.nan], np.float32))
