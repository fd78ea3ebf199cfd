"""Suspicious stretches against the truth: precision and recall, of stretches and of seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from bonafide.verdict import SuspiciousStretch
from lab.splicing.recordings import Spliced


@dataclass
class Found:
    """What was found in recordings, counted.

    Attributes:
        parts: spoofed parts there are.
        parts_found: those that a stretch overlaps.
        stretches: that were found.
        stretches_right: those that overlap a spoofed part.
        spoofed_s: seconds of the parts.
        found_s: seconds of the stretches.
        right_s: seconds that are both.
        alarms: recordings without a part in which a stretch was found.
        unspliced: recordings without a part.
    """

    parts: int = 0
    parts_found: int = 0
    stretches: int = 0
    stretches_right: int = 0
    spoofed_s: float = 0.0
    found_s: float = 0.0
    right_s: float = 0.0
    alarms: int = 0
    unspliced: int = 0

    def add(self, recording: Spliced, stretches: Sequence[SuspiciousStretch]) -> None:
        """Counts what was found in one; stretches do not overlap one another, but for the windows of both."""
        covered = _merged(stretches)
        right = [min(end, recording.end_s) - max(start, recording.start_s) for start, end in covered]
        self.stretches += len(stretches)
        self.found_s += sum(end - start for start, end in covered)
        if not recording.end_s:
            self.unspliced += 1
            self.alarms += bool(stretches)
            return
        self.parts += 1
        self.parts_found += any(seconds > 0 for seconds in right)
        self.stretches_right += sum(
            each.start_s < recording.end_s and each.end_s > recording.start_s for each in stretches
        )
        self.spoofed_s += recording.end_s - recording.start_s
        self.right_s += sum(max(0.0, seconds) for seconds in right)

    def share(self, part: float, whole: float) -> str:
        """In percent, or a dash of nothing."""
        return f"{100 * part / whole:.1f} %" if whole else "-"

    @property
    def cells(self) -> list[str]:
        """Of a table's row, see `HEADINGS`."""
        return [
            self.share(self.parts_found, self.parts),
            self.share(self.stretches_right, self.stretches),
            self.share(self.right_s, self.spoofed_s),
            self.share(self.right_s, self.found_s),
            self.share(self.alarms, self.unspliced),
        ]


HEADINGS = (
    "parts found (recall)",
    "stretches that hold a part (precision)",
    "spoofed seconds found",
    "found seconds that are spoofed",
    "bona fide recordings with a stretch",
)


def _merged(stretches: Sequence[SuspiciousStretch]) -> list[tuple[float, float]]:
    """Stretches as intervals that do not overlap."""
    merged: list[tuple[float, float]] = []
    for each in sorted(stretches, key=lambda stretch: stretch.start_s):
        if merged and each.start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], each.end_s))
        else:
            merged.append((each.start_s, each.end_s))
    return merged
