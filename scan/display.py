"""How far a scan is, on standard error: a bar in a terminal, else a line now and then."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from scan.progress import Progress

_EVERY_S = 10.0
_STEADY_S = 1.0
"""Before that much time a rate says nothing."""


class Display:
    """Tells the progress of a scan while the block runs.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[errors]} errors"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, rate=0.0, errors=0)
        self._first: tuple[float, int] | None = None
        self._told = 0.0

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, progress: Progress) -> None:
        """Shows the counts as they are now."""
        now = time.monotonic()
        rate = self._rate(progress, now)
        total = progress.total
        self._bar.update(self._task, total=total, completed=progress.done, rate=rate, errors=progress.errors)
        if self._console.is_terminal or (now - self._told < _EVERY_S and progress.done < total):
            return
        self._told = now
        left = f"{(total - progress.done) / rate:.0f} s left" if rate else "no rate yet"
        self._console.print(
            f"{progress.done} of {total} ({progress.skipped} before), {rate:.1f}/s, {left}, {progress.errors} errors",
            highlight=False,
        )

    def _rate(self, progress: Progress, now: float) -> float:
        """Objects a second since the first, so without the start of Ray and of the model."""
        if self._first is None:
            if progress.done:
                self._first = (now, progress.done)
            return 0.0
        began, before = self._first
        return (progress.done - before) / (now - began) if now - began >= _STEADY_S else 0.0
