"""What is held of one answer until its shadow has scored it."""

from bonafide.shadow.comparisons import Comparison, Comparisons, Outcome


class Trial:
    """The room that one answer takes.

    Args:
        comparisons: where it is taken; None: the answer has no shadow, and nothing is held.
    """

    def __init__(self, comparisons: Comparisons | None) -> None:
        self._comparisons = comparisons
        self._held = 0
        self._obstacle: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether it will be scored, as far as is known."""
        return self._comparisons is not None and self._obstacle is None

    def hold(self, size: int) -> bool:
        """Takes room for so many bytes more; False: there is none, and the trial is given up."""
        if self._comparisons is None or not self._comparisons.hold(size):
            self.give_up(Outcome.DROPPED)
            return False
        self._held += size
        return True

    def give_up(self, obstacle: Outcome) -> None:
        """It will not be scored: gives its room back, and counts the obstacle if the call is answered."""
        self._obstacle = obstacle
        self._release()

    def end(self, comparison: Comparison | None) -> None:
        """The call has ended; `comparison` is what is to be done now. None: nothing, as after a call that failed."""
        if self._comparisons is None or comparison is None:
            self._release()
        elif self._obstacle is not None:
            self._comparisons.observer.shadow(self._comparisons.task, self._obstacle)
        else:
            self._comparisons.add(comparison, self._held)
            self._held = 0

    def _release(self) -> None:
        if self._comparisons is not None:
            self._comparisons.release(self._held)
        self._held = 0
