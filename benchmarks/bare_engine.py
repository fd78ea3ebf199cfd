"""The bare engine in a process of its own: a detector called in a loop, with nothing around it.

It computes on request and is idle otherwise, so that its runs can alternate with the service's.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from models.info import Task

_ITEMS = 64
_TRIALS = 3
_TRIAL_SECONDS = 1.0


class Turn(NamedTuple):
    """Cost of one turn.

    Attributes:
        wall_s: seconds.
        cpu_s: seconds of all of the process's threads.
    """

    wall_s: float
    cpu_s: float


class BareEngine:
    """The parent's side.

    Attributes:
        info: the detector's description.
        batch: the batch size that was fastest in a trial.
        rate: items per second in that trial.
    """

    def __init__(self, connection: Connection, info: dict[str, Any], batch: int, rate: float) -> None:
        self._connection = connection
        self.info = info
        self.batch = batch
        self.rate = rate

    def run(self, count: int) -> Turn:
        """Scores `count` items, in batches of the best size."""
        self._connection.send(count)
        turn: Turn = self._connection.recv()
        return turn


@contextmanager
def bare_engine(task: Task, reference: str, models_dir: Path) -> Iterator[BareEngine]:
    """Starts the process, waits until it is warm, and ends it after the block.

    Args:
        task: which detector.
        reference: model, as in the settings of the service.
        models_dir: where the service keeps its compiled models; the other settings are read as the service does.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_compute, args=(theirs, task, reference, models_dir), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process ends a wait for its reply
    try:
        yield BareEngine(ours, *ours.recv())
    finally:
        ours.close()
        process.join()


def best_batch(candidates: list[int], run: Callable[[int], Turn]) -> tuple[int, float]:
    """The batch size with the highest rate, and that rate in items per second.

    Args:
        candidates: batch sizes, tried in turn, several times.
        run: computes one batch of a size.
    """
    rates: dict[int, list[float]] = {batch: [] for batch in candidates}
    for _ in range(_TRIALS):
        for batch in candidates:
            items, began = 0, time.perf_counter()
            while (spent := time.perf_counter() - began) < _TRIAL_SECONDS:
                run(batch)
                items += batch
            rates[batch].append(items / spent)
    best = max(candidates, key=lambda batch: statistics.median(rates[batch]))
    return best, statistics.median(rates[best])


def _compute(connection: Connection, task: Task, reference: str, models_dir: Path) -> None:
    """The child's side."""
    from bonafide.settings import Settings
    from models.options import LoadOptions

    settings = Settings()
    options = LoadOptions(
        engine=settings.engine,
        precision=settings.precision,
        models_dir=models_dir,
        compiled_dir=models_dir / "compiled",
        offline=True,
        threads=settings.engine_threads,
    )
    score, info = _load(task, reference, options)

    def run(batch: int, count: int) -> Turn:
        wall, cpu = time.perf_counter(), time.process_time()
        for done in range(0, count, batch):
            score(batch, done % _ITEMS)
        return Turn(time.perf_counter() - wall, time.process_time() - cpu)

    sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= info["max_batch_size"]]
    batch, rate = best_batch(sizes, lambda size: run(size, size))
    try:
        connection.send((info, batch, rate))
        while True:
            connection.send(run(batch, connection.recv()))
    except EOFError:
        return  # the parent has closed its side


def _load(task: Task, reference: str, options: Any) -> tuple[Callable[[int, int], object], dict[str, Any]]:
    """A function that scores a batch (its size, the index of its first item), and the model's description."""
    from benchmarks.inputs import prepared_photos, windows

    if task == "voice":
        from models.configured import WindowScorer
        from models.voice_model import WINDOW_SAMPLES

        scorer = WindowScorer.load(reference, options)
        sounds = windows(_ITEMS, WINDOW_SAMPLES) * 2
        return lambda size, first: scorer.score(sounds[first : first + size]), scorer.info.to_dict()

    from models.face_model import FaceSpoofModel

    face = FaceSpoofModel.load(reference, options)
    assert face.info.geometry is not None
    photos = prepared_photos(_ITEMS, face.info.geometry.height, face.info.geometry.width) * 2
    return lambda size, first: face.score(photos[first : first + size]), face.info.to_dict()
