from dataclasses import replace

import pytest

from bonafide.drift.watch import ScoreWatch
from models.info import ScoreCounts
from tests.bonafide.fakes import MODEL

Labels = tuple[str, str, str, str]
FITTED = replace(MODEL, fitted_scores=ScoreCounts((8, 2) + (0,) * 8, (0,) * 9 + (10,)))
CALM = [0.01] * 8 + [0.11] * 2 + [0.99] * 10


class Seen:
    def __init__(self) -> None:
        self.scores: list[Labels] = []
        self.distances: dict[Labels, float] = {}

    def score(self, labels: Labels, score: float) -> None:
        self.scores.append(labels)

    def drift(self, labels: Labels, distance: float) -> None:
        self.distances[labels] = distance


@pytest.fixture
def seen() -> Seen:
    return Seen()


def watch(seen: Seen, recent: int = 40) -> ScoreWatch:
    return ScoreWatch(seen, recent=recent, spoof_share=None)


def test_the_distance_follows_the_most_recent_scores(seen: Seen) -> None:
    watched, labels = watch(seen), ("voice", MODEL.version, "http", "wav")
    watched.answered(FITTED, "http", "wav", CALM[:19])
    assert not seen.distances
    watched.answered(FITTED, "http", "wav", CALM[19:])
    assert seen.distances[labels] == pytest.approx(0, abs=1e-9)
    watched.answered(FITTED, "http", "wav", [0.5] * 40)
    assert seen.distances[labels] > 5
    watched.answered(FITTED, "http", "wav", CALM * 2)
    assert seen.distances[labels] == pytest.approx(0, abs=1e-9)
    assert seen.scores == [labels] * 100


def test_transports_and_codecs_are_apart(seen: Seen) -> None:
    watched = watch(seen)
    watched.answered(FITTED, "grpc", "mulaw", [0.5] * 20)
    watched.answered(FITTED, "http", "wav", CALM)
    distances = {labels[2:]: distance for labels, distance in seen.distances.items()}
    assert distances["grpc", "mulaw"] > 5
    assert distances["http", "wav"] == pytest.approx(0, abs=1e-9)


def test_a_model_that_was_replaced_is_no_longer_far_away(seen: Seen) -> None:
    """Its last distance would stay in the metrics, and the alert with it, until the process ends."""
    watched, after = watch(seen), replace(FITTED, version="after")
    for transport, codec in (("http", "wav"), ("grpc", "mulaw"), ("", "wav")):
        watched.answered(FITTED, transport, codec, [0.5] * 20)
    watched.answered(after, "http", "wav", [0.5])
    of_before = {labels[2:]: distance for labels, distance in seen.distances.items() if labels[1] == FITTED.version}
    assert of_before["http", "wav"] == of_before["grpc", "mulaw"] == 0
    assert of_before["other", "wav"] > 5, "jobs have runners, and perhaps models, of their own"
    watched.answered(FITTED, "http", "wav", [0.5])  # of a call that began before, or put back
    assert seen.distances["voice", FITTED.version, "http", "wav"] > 5


def test_the_number_of_series_is_bounded_whatever_comes(seen: Seen) -> None:
    watched = watch(seen)
    for number in range(100):
        watched.answered(replace(FITTED, version=str(number)), f"t{number}", f"c{number}", CALM)
    assert {labels[2:] for labels in seen.scores} == {("other", "other")}
    assert len({labels[1] for labels in seen.scores}) == 17
    assert all(labels[1] != "other" for labels in seen.distances)


def test_without_the_calibrations_scores_there_is_no_distance(seen: Seen) -> None:
    watch(seen).answered(MODEL, "http", "wav", CALM * 5)
    assert seen.scores
    assert not seen.distances
