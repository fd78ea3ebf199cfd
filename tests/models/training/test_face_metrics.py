import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.face_metrics import eer, interval, rates, report


def test_separated_classes_have_no_error_and_inverted_ones_only_errors() -> None:
    low, high = np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)
    assert eer(low, high)[0] == 0
    assert eer(high, low)[0] == pytest.approx(1, abs=0.03)


def test_eer_of_two_normal_classes_is_what_theory_says() -> None:
    rng = np.random.default_rng(0)
    rate, threshold = eer(rng.normal(0, 1, 20000), rng.normal(2, 1, 20000))
    assert rate == pytest.approx(0.1587, abs=0.01)
    assert threshold == pytest.approx(1, abs=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_eer_is_a_rate(live: list[float], spoof: list[float]) -> None:
    assert 0 <= eer(np.array(live), np.array(spoof))[0] <= 1


def test_an_empty_class_is_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        eer(np.array([]), np.array([0.5]))


def test_rates_count_errors_per_attack_kind_and_take_the_worst() -> None:
    scores = np.array([0.1, 0.6, 0.2, 0.3, 0.9, 0.8, 0.4, 0.7])
    attacks = ["-", "-", "-", "-", "print", "print", "screen", "screen"]
    found = rates(scores, attacks, 0.5)
    assert found == {
        "apcer_print": 0,
        "apcer_screen": 0.5,
        "apcer": 0.5,
        "bpcer": 0.25,
        "acer": 0.375,
    }


def test_intervals_over_people_are_wider_than_over_photos() -> None:
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(0, 1, 20), 50)
    people = [str(n) for n in np.repeat(np.arange(20), 50)]
    photos = [str(n) for n in range(1000)]
    low, high = interval(lambda index: float(values[index].mean()), people, draws=300)
    narrow_low, narrow_high = interval(lambda index: float(values[index].mean()), photos, draws=300)
    assert high - low > 3 * (narrow_high - narrow_low)


def test_the_report_holds_every_attack_kind_with_an_interval() -> None:
    rng = np.random.default_rng(2)
    attacks = ["-", "print", "screen"] * 100
    people = [str(n // 15) for n in range(300)]
    scores = np.clip(rng.normal(0.5, 0.1, 300) + 0.2 * (np.array(attacks) != "-"), 0, 1)
    found = report(scores, attacks, people, 0.6)
    assert found["people"] == 20
    for key in ("eer_print", "eer_screen", "eer_all"):
        entry = found[key]
        assert isinstance(entry, dict)
        assert entry["interval"][0] <= entry["value"] <= entry["interval"][1]
