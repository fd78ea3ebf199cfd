"""Bars on stderr while files are judged; nothing at all when stderr is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from .. import results
from .render import printable


class Bars:
    """One bar for each file under judgement, and one for all of them; use as a context manager."""

    def __init__(self, console: Console, files: int, shown: bool) -> None:
        self._shown = shown and console.is_terminal
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self._shown,
        )
        self._files = self._bars.add_task("all files", total=files, detail="") if files > 1 else None

    def __enter__(self) -> "Bars":
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Clears the bars away while results are printed, which may go to the same terminal."""
        self._hide()
        yield
        self._show()

    @contextmanager
    def of(self, name: str) -> Iterator["Bar"]:
        """A bar for one file, gone when the file is done."""
        label = Text(printable(name))
        label.truncate(30, overflow="ellipsis")
        task = self._bars.add_task(label.plain, total=None, detail="")
        try:
            yield Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)
            if self._files is not None:
                self._bars.advance(self._files)

    # Asked first: rich prints an empty line when it stops even what it does not show.
    def _show(self) -> None:
        if self._shown:
            self._bars.start()

    def _hide(self) -> None:
        if self._shown:
            self._bars.stop()


class Bar:
    """The bar of one file: it fills while the file is sent, and again while its chunks are scored."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, progress: results.Progress) -> None:
        """Draws how far the file has come."""
        sending = progress.total_bytes is not None and progress.sent_bytes < progress.total_bytes
        if progress.done_chunks and not sending:
            of = "" if progress.total_chunks is None else f"/{progress.total_chunks}"
            done, total = progress.done_chunks, progress.total_chunks
            detail = f"{done}{of} chunks scored"
        else:
            of = "" if progress.total_bytes is None else f"/{decimal(progress.total_bytes)}"
            done, total = progress.sent_bytes, progress.total_bytes
            detail = f"{decimal(done)}{of} sent"
        self._bars.update(self._task, completed=done, total=total, detail=detail)
