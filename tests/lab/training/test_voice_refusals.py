"""Refusals of real speech by corpus: counted at the threshold, without the spoofs."""

from pathlib import Path

from lab.evaluation.report import ScoredTrials
from lab.evaluation.trials import BONAFIDE, Trial
from lab.training.voice_refusals import table


def test_every_corpus_has_a_row_of_its_own() -> None:
    real = [("Libri-1", 0.2), ("Libri-1", 0.9), ("Libri-2", 0.5), ("LJ", 0.1), ("debian-package/ann", 0.7)]
    trials = [Trial(Path(), BONAFIDE, subject) for subject, _ in real] + [Trial(Path(), "vits", "synthetic-LJ")]
    judged = ScoredTrials.of(trials, [score for _, score in real] + [0.99])
    assert table(judged, 0.5)[2:] == [
        "| LJ | 1 | 1 | 0.0 % |",
        "| Libri | 2 | 3 | 66.7 % |",
        "| packages | 1 | 1 | 100.0 % |",
        "| all | 4 | 5 | 60.0 % |",
    ]
