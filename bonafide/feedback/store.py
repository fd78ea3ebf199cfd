"""Verdicts by request id, each with the truth once somebody tells it. Scores, ids and references only: no media."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from typing import TypeVar

from bonafide.errors import InvalidRequest, ObjectNotFound, Unavailable
from bonafide.feedback.database import Database, DatabaseFailed
from bonafide.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")
LABELS = {"voice": ("bonafide", "spoof"), "face": ("live", "fake")}
"""What the truth may be, by task; the second is the attack."""
MAX_NOTE = 1000
_PATIENCE_S = 0.5
"""How long an answer waits for its verdict to be kept, so that other processes find it, too."""
_LIMIT_S = 5.0
_CLOSE_S = 5.0
_MAX_WAITING = 200
_PRUNE_EVERY_S = 300.0
_PRUNE_AT_A_TIME = 50_000
"""More might take longer than the database may."""
_LEAST_PRUNED = 1000


@dataclass(frozen=True)
class KeptVerdict:
    """What is kept of a verdict.

    Attributes:
        caller: name of the API key; empty where none is required.
        at: seconds since 1970.
        reference: `bucket/key` of a stored object; else empty.
        sha256: of the media; empty where it was not computed.
        score: P(spoof) or P(fake), 0..1; None without speech.
        codec: in which the media came.
    """

    request_id: str
    caller: str
    at: float
    task: str
    task_id: str
    source: str
    reference: str
    sha256: str
    label: str
    score: float | None
    threshold: float
    model: str
    version: str
    transport: str
    codec: str


COLUMNS = tuple(field.name for field in fields(KeptVerdict))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS bonafide_verdicts (
    request_id TEXT NOT NULL, caller TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, task TEXT NOT NULL,
    task_id TEXT NOT NULL, source TEXT NOT NULL, reference TEXT NOT NULL, sha256 TEXT NOT NULL, label TEXT NOT NULL,
    score DOUBLE PRECISION, threshold DOUBLE PRECISION NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,
    transport TEXT NOT NULL, codec TEXT NOT NULL, truth TEXT, note TEXT, truth_at DOUBLE PRECISION,
    PRIMARY KEY (caller, request_id)
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS bonafide_verdicts_at ON bonafide_verdicts (at)"
_UPDATED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
# A request id that comes again names the newer verdict, of which nobody has told the truth.
_KEEP = (
    f"INSERT INTO bonafide_verdicts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT (caller, request_id) DO UPDATE SET {_UPDATED}, truth = NULL, note = NULL, truth_at = NULL"
)
_FIND = "SELECT task FROM bonafide_verdicts WHERE caller = ? AND request_id = ? AND at >= ?"
# One statement: another process may put a newer verdict there, of the other task even, or let go of it.
_TELL = (
    "UPDATE bonafide_verdicts SET truth = ?, note = ?, truth_at = ? "
    "WHERE caller = ? AND request_id = ? AND at >= ? AND task = ? RETURNING label"
)
_KEY = "caller, request_id"
_DELETE = f"DELETE FROM bonafide_verdicts WHERE ({_KEY}) IN (SELECT {_KEY} FROM bonafide_verdicts"  # noqa: S608
_PRUNE = f"{_DELETE} WHERE at < ? ORDER BY at LIMIT ?)"
_BEYOND = "SELECT at FROM bonafide_verdicts ORDER BY at DESC LIMIT 1 OFFSET ?"
_PRUNE_MOST = f"{_DELETE} WHERE at <= ({_BEYOND}) ORDER BY at LIMIT ?)"
_TOLD = (
    "SELECT task, source, reference, sha256, label, score, request_id, task_id, truth, COALESCE(note, ''), codec, at "
    "FROM bonafide_verdicts WHERE truth IS NOT NULL AND task = ? ORDER BY truth_at, at, request_id"
)


@dataclass(frozen=True)
class LabelledVerdict:
    """A verdict of which the truth was told; `truth` and `note` are the caller's, the rest as in `KeptVerdict`."""

    task: str
    source: str
    reference: str
    sha256: str
    label: str
    score: float | None
    request_id: str
    task_id: str
    truth: str
    note: str
    codec: str
    at: float

    @property
    def is_spoof(self) -> bool:
        """Whether it was an attack."""
        return self.truth == LABELS[self.task][1]


def labelled_verdicts(database: Database, task: str) -> list[LabelledVerdict]:
    """All verdicts on a task's media of which the truth was told, in the order in which it was told.

    Raises:
        DatabaseFailed: it cannot be read.
        ValueError: a truth is none of the task's labels, so that it would be taken for the opposite of an attack.
    """
    told = [LabelledVerdict(*row) for row in database.execute((_SCHEMA, ()), (_TOLD, (task,)))]
    for each in told:
        if each.truth not in LABELS[task]:
            raise ValueError(f"the truth of request {each.request_id} is {each.truth!r}, which is no label of a {task}")
    return told


class Feedback:
    """Keeps verdicts, and takes the truth about them, in the order in which they come.

    Args:
        database: where.
        keep_s: seconds that a verdict is kept, with the truth.
        most: verdicts that are kept; the oldest go first.
        failed: called when a verdict could not be kept.
    """

    def __init__(self, database: Database, *, keep_s: float, most: int, failed: Callable[[], None]) -> None:
        self._database = database
        self._keep_s = keep_s
        self._most = most
        self._failed = failed
        self._prune_at = 0.0
        self._prune_at_a_time = _PRUNE_AT_A_TIME
        self._ask_at = 0.0
        self._is_made = False
        self._is_failing = False
        self._keeping: set[asyncio.Future[None]] = set()
        self._pruning: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feedback")

    @classmethod
    def from_settings(cls, settings: Settings, failed: Callable[[], None]) -> "Feedback | None":
        """Built from the settings; None: no feedback is taken. Opens no connection yet.

        Raises:
            ValueError: the database is of another kind, or its driver is missing.
        """
        if settings.feedback_db is None:
            return None
        database = Database(settings.feedback_db.get_secret_value(), limit_s=_LIMIT_S)
        keep_s = settings.feedback_keep_days * 24 * 3600
        return cls(database, keep_s=keep_s, most=settings.feedback_max_verdicts, failed=failed)

    def start(self) -> None:
        """Begins to let go of what is too old or too much, now and then also while no verdict comes."""
        self._pruning = asyncio.create_task(self._prune_for_ever())

    async def keep(self, verdict: KeptVerdict) -> None:
        """Keeps a verdict, behind its answer if that takes long. One that cannot be kept is counted and logged."""
        if len(self._keeping) >= _MAX_WAITING:
            self._not_kept("too many verdicts wait")
            return
        keeping = self._in_thread(lambda: self._keep(verdict))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._kept)
        await asyncio.wait({keeping}, timeout=_PATIENCE_S)

    async def tell(self, request_id: str, label: str, note: str, caller: str) -> str:
        """Puts the truth beside a verdict of this caller; told again, it replaces what was told before.

        Returns:
            The verdict's label.

        Raises:
            InvalidRequest: a field is empty, the label is none of the task's, or the note is too long.
            ObjectNotFound: no verdict of this caller with this request id is kept.
            Unavailable: the database fails.
        """
        if not request_id or not label:
            raise InvalidRequest("request_id and label must both be set")
        if len(note) > MAX_NOTE:
            raise InvalidRequest(f"a note has at most {MAX_NOTE} characters")
        if not request_id.isprintable():  # no call has such an id, and PostgreSQL takes not every character
            raise ObjectNotFound("no verdict with this request id is kept")
        note = "".join(char if char.isprintable() else " " for char in note)
        try:
            return await self._in_thread(lambda: self._tell(request_id, label, note, caller))
        except DatabaseFailed as error:
            logger.warning("feedback cannot be kept", extra={"cause": str(error)})
            raise Unavailable("feedback cannot be kept now, try again later") from error

    async def close(self, within_s: float = _CLOSE_S) -> None:
        """Waits for what is being kept, `within_s` seconds at most, and closes the connection."""
        if self._pruning is not None:
            self._pruning.cancel()
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        await asyncio.wait({closing}, timeout=within_s)
        for waiting in (*self._keeping, closing):
            waiting.cancel()
        self._thread.shutdown(wait=False)
        await asyncio.sleep(0)  # in which what was not kept is counted

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._asked, work)

    def _kept(self, keeping: asyncio.Future[None]) -> None:
        self._keeping.discard(keeping)
        if keeping.cancelled():
            self._not_kept("this process ends")
        elif isinstance(error := keeping.exception(), DatabaseFailed):
            self._not_kept(str(error))
        elif error is not None:
            self._failed()
            logger.error("a verdict is not kept for feedback, by a bug", exc_info=error)
        elif self._is_failing and not self._keeping:
            self._is_failing = False
            logger.warning("verdicts are kept for feedback again")

    def _not_kept(self, cause: str) -> None:
        self._failed()
        if not self._is_failing:
            self._is_failing = True
            logger.warning("verdicts are not kept for feedback", extra={"cause": cause})

    def _asked(self, work: Callable[[], T]) -> T:
        """Asks the database; after a failure that took long not again for as long, since others wait behind it."""
        began = time.monotonic()
        if began < self._ask_at:
            raise DatabaseFailed("it has failed, and is not asked again yet")
        try:
            return work()
        except DatabaseFailed:
            if (took := time.monotonic() - began) > _PATIENCE_S:
                self._ask_at = began + 2 * took
            raise

    def _keep(self, verdict: KeptVerdict) -> None:
        self._prepare()
        self._database.execute((_KEEP, astuple(verdict)))
        self._prune()

    def _tell(self, request_id: str, label: str, note: str, caller: str) -> str:
        self._prepare()
        self._prune()
        now = time.time()
        kept = (caller, request_id, now - self._keep_s)
        for task in (task for task, labels in LABELS.items() if label in labels):
            if told := self._database.execute((_TELL, (label, note, now, *kept, task))):
                return str(told[0][0])
        found = self._database.execute((_FIND, kept))
        if not found:
            raise ObjectNotFound("no verdict with this request id is kept")
        labels = LABELS[found[0][0]]
        raise InvalidRequest(f"label must be {' or '.join(labels)} for this verdict")

    def _prepare(self) -> None:
        """Makes the table once."""
        if not self._is_made:
            self._database.execute((_SCHEMA, ()), (_INDEX, ()))
            self._is_made = True

    async def _prune_for_ever(self) -> None:
        while True:
            try:
                await self._in_thread(self._prune_alone)
            except DatabaseFailed as error:
                logger.warning("old verdicts are not let go of, and tried again later", extra={"cause": str(error)})
            except Exception:  # a bug here must not end it
                logger.exception("old verdicts are not let go of, by a bug")
            await asyncio.sleep(_PRUNE_EVERY_S)

    def _prune_alone(self) -> None:
        self._prepare()
        self._prune()

    def _prune(self) -> None:
        """Lets go of what is too old or too much now and then; of less next time, if the database did not manage."""
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + _PRUNE_EVERY_S
        at_a_time = self._prune_at_a_time
        try:
            self._database.execute((_PRUNE, (time.time() - self._keep_s, at_a_time)))
            self._database.execute((_PRUNE_MOST, (self._most, at_a_time)))
        except DatabaseFailed as error:
            self._prune_at_a_time = max(at_a_time // 2, _LEAST_PRUNED)
            logger.warning("old verdicts are not let go of, and tried again later", extra={"cause": str(error)})
