"""Jobs in a file of SQLite: for one machine, also for several processes on it. What is accepted is on the disk.

Taken items are held by a lease: a time after which others may take them. Times that lie further ahead than they could
have been set were set before the clock was set back, and count for nothing.
"""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bonafide.errors import Unavailable
from bonafide.jobs.job import PRIORITIES, Item, Job, Outcome
from bonafide.jobs.store import too_many_jobs

logger = logging.getLogger(__name__)
T = TypeVar("T")

_BUSY_S = 10.0
_EMPTY_LOG_MS = 100
_WAITING, _TAKEN, _DONE, _FAILED = range(4)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, caller TEXT NOT NULL, bucket TEXT NOT NULL, priority INTEGER NOT NULL, state TEXT NOT NULL,
    total INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL,
    callback_url TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL,
    touched REAL NOT NULL, served REAL NOT NULL, callback_due REAL, callback_tries INTEGER NOT NULL,
    task TEXT NOT NULL DEFAULT 'voice'
);
CREATE UNIQUE INDEX IF NOT EXISTS jobs_keys ON jobs (caller, idempotency_key) WHERE idempotency_key != '';
CREATE INDEX IF NOT EXISTS jobs_states ON jobs (state);
CREATE TABLE IF NOT EXISTS items (
    job TEXT NOT NULL, idx INTEGER NOT NULL, key TEXT NOT NULL, state INTEGER NOT NULL, ticket TEXT NOT NULL,
    lease REAL NOT NULL, tries INTEGER NOT NULL, seq INTEGER, document TEXT, PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_states ON items (job, state, idx);
CREATE INDEX IF NOT EXISTS items_results ON items (job, seq) WHERE seq IS NOT NULL;
"""
_COLUMNS = (
    "id, caller, bucket, priority, state, total, created, done, failed, started, ended, callback_url, "
    "idempotency_key, fingerprint, task"
)
_GET = f"SELECT {_COLUMNS} FROM jobs WHERE id = ?"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM jobs WHERE caller = ? AND idempotency_key = ?"  # noqa: S608
_DUE = (
    f"SELECT {_COLUMNS}, callback_tries FROM jobs WHERE state = 'done' AND (callback_due <= ? OR callback_due > ?) "  # noqa: S608
    "ORDER BY callback_due LIMIT 1"
)
_CREATE = f"INSERT INTO jobs ({_COLUMNS}, touched, served, callback_tries) VALUES ({'?, ' * 15}?, 0, 0)"  # noqa: S608
_ITEM = "INSERT INTO items (job, idx, key, state, ticket, lease, tries) VALUES (?, ?, ?, 0, '', 0, 0)"
_OPEN = "state IN ('waiting', 'running')"
_FREE = (
    "SELECT idx, key, tries FROM items WHERE job = ? AND state = 0 ORDER BY idx LIMIT 1",
    "SELECT idx, key, tries FROM items WHERE job = ? AND state = 1 AND (lease < ? OR lease > ?) ORDER BY idx LIMIT 1",
)


class SqliteJobs:
    """A `JobStore` in a file.

    Args:
        path: of the file; its folder is made if needed.
        lease_s: seconds that an item is held without being renewed.
        keep_s: seconds that a job is kept after the last thing that happened to it.
        most: unfinished jobs that one caller may have.
    """

    def __init__(self, path: Path, *, lease_s: float, keep_s: float, most: int) -> None:
        self._path = path
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._most = most
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    async def create(self, job: Job, keys: Sequence[str]) -> Job:
        """See `JobStore.create`."""

        def work(database: sqlite3.Connection) -> Job:
            if job.idempotency_key and (earlier := _job(database, _FIND, job.caller, job.idempotency_key)):
                return earlier
            unfinished = f"SELECT COUNT(*) FROM jobs WHERE caller = ? AND {_OPEN}"  # noqa: S608
            if database.execute(unfinished, (job.caller,)).fetchone()[0] >= self._most:
                raise too_many_jobs(self._most)
            database.execute(_CREATE, (*_row(job), job.created))
            database.executemany(_ITEM, ((job.job_id, index, key) for index, key in enumerate(keys)))
            return job

        return await self._run(work)

    async def find(self, caller: str, idempotency_key: str) -> Job | None:
        """See `JobStore.find`."""
        return await self._run(lambda database: _job(database, _FIND, caller, idempotency_key))

    async def get(self, job_id: str) -> Job | None:
        """See `JobStore.get`."""
        return await self._run(lambda database: _job(database, _GET, job_id))

    async def cancel(self, job_id: str) -> None:
        """See `JobStore.cancel`."""
        now = time.time()
        statement = f"UPDATE jobs SET state = 'cancelled', ended = ?, touched = ? WHERE id = ? AND {_OPEN}"  # noqa: S608
        await self._run(lambda database: database.execute(statement, (now, now, job_id)))

    async def results(self, job_id: str, after: int, count: int, most_bytes: int) -> list[str]:
        """See `JobStore.results`."""
        statement = "SELECT document FROM items WHERE job = ? AND seq >= ? ORDER BY seq LIMIT ?"

        def work(database: sqlite3.Connection) -> list[str]:
            found: list[str] = []
            left = most_bytes
            for (document,) in database.execute(statement, (job_id, after, count)):
                left -= len(document.encode())
                if found and left < 0:
                    break
                found.append(document)
            return found

        return await self._run(work)

    async def take(self) -> Item | None:
        """See `JobStore.take`."""
        return await self._run(self._take)

    def _take(self, database: sqlite3.Connection) -> Item | None:
        now = time.time()
        far = now + 2 * self._lease_s  # twice: a clock that is set back a little lets go of nothing that is held
        order = "ORDER BY priority DESC, served, created"
        jobs = f"SELECT id, caller, bucket, task FROM jobs WHERE {_OPEN} {order}"  # noqa: S608
        for job_id, caller, bucket, task in database.execute(jobs).fetchall():
            free, expired = _FREE
            found = database.execute(free, (job_id,)).fetchone()
            found = found or database.execute(expired, (job_id, now, far)).fetchone()
            if found is None:
                continue
            index, key, tries = found
            item = Item(job_id, caller, bucket, key, index, tries + 1, uuid.uuid4().hex, task)
            taken = "UPDATE items SET state = 1, ticket = ?, lease = ?, tries = ? WHERE job = ? AND idx = ?"
            database.execute(taken, (item.ticket, now + self._lease_s, item.tries, job_id, index))
            # A number, not the time: a clock may be set back.
            (last,) = database.execute(f"SELECT MAX(served) FROM jobs WHERE {_OPEN}").fetchone()  # noqa: S608
            served = "UPDATE jobs SET state = 'running', started = COALESCE(started, ?), served = ? WHERE id = ?"
            database.execute(served, (now, last + 1, job_id))
            return item
        return None

    async def renew(self, items: Sequence[Item]) -> None:
        """See `JobStore.renew`."""
        until = time.time() + self._lease_s
        statement = "UPDATE items SET lease = ? WHERE job = ? AND idx = ? AND ticket = ? AND state = 1"
        rows = [(until, item.job_id, item.index, item.ticket) for item in items]
        await self._run(lambda database: database.executemany(statement, rows))

    async def finish(self, item: Item, outcome: Outcome) -> bool:
        """See `JobStore.finish`."""

        def work(database: sqlite3.Connection) -> bool:
            job = _job(database, _GET, item.job_id)
            if job is None or job.state != "running":
                return False
            state = _DONE if outcome.succeeded else _FAILED
            kept = "UPDATE items SET state = ?, seq = ?, document = ? WHERE job = ? AND idx = ? AND state < 2"
            sequence = job.done + job.failed
            place = (item.job_id, item.index)
            if database.execute(kept, (state, sequence, outcome.document, *place)).rowcount == 0:
                return False
            counted = "done = done + 1" if outcome.succeeded else "failed = failed + 1"
            now = time.time()
            database.execute(f"UPDATE jobs SET {counted}, touched = ? WHERE id = ?", (now, item.job_id))  # noqa: S608
            if sequence + 1 == job.total:
                due = now if job.callback_url else None
                ended = "UPDATE jobs SET state = 'done', ended = ?, callback_due = ? WHERE id = ?"
                database.execute(ended, (now, due, item.job_id))
            return True

        return await self._run(work)

    async def give_back(self, item: Item) -> None:
        """See `JobStore.give_back`."""
        statement = (
            "UPDATE items SET state = 0, ticket = '', tries = tries - 1 "
            "WHERE job = ? AND idx = ? AND ticket = ? AND state = 1"
        )
        await self._run(lambda database: database.execute(statement, (item.job_id, item.index, item.ticket)))

    async def waiting(self) -> int:
        """See `JobStore.waiting`."""
        statement = f"SELECT COALESCE(SUM(total - done - failed), 0) FROM jobs WHERE {_OPEN}"  # noqa: S608
        return int(await self._run(lambda database: database.execute(statement).fetchone()[0]))

    async def take_callback(self, again_s: float) -> tuple[Job, int] | None:
        """See `JobStore.take_callback`."""

        def work(database: sqlite3.Connection) -> tuple[Job, int] | None:
            now = time.time()
            if (row := database.execute(_DUE, (now, now + again_s)).fetchone()) is None:
                return None
            *columns, tries = row
            later = "UPDATE jobs SET callback_due = ?, callback_tries = ? WHERE id = ?"
            database.execute(later, (now + again_s, tries + 1, columns[0]))
            return _of_row(columns), tries + 1

        return await self._run(work)

    async def end_callback(self, job_id: str) -> None:
        """See `JobStore.end_callback`."""
        statement = "UPDATE jobs SET callback_due = NULL WHERE id = ?"
        await self._run(lambda database: database.execute(statement, (job_id,)))

    async def prune(self) -> None:
        """See `JobStore.prune`."""
        now = time.time()
        before = now - self._keep_s

        def work(database: sqlite3.Connection) -> list[tuple[str]]:
            database.execute("UPDATE jobs SET touched = ? WHERE touched > ?", (now, now))
            return database.execute("SELECT id FROM jobs WHERE touched < ?", (before,)).fetchall()

        found = await self._run(work)
        for (job_id,) in found:  # one by one: others wait behind each
            await self._run(partial(_forget, job_id=job_id, before=before))
        await self._in_thread(self._empty_log)

    def _empty_log(self) -> None:
        """Empties the write-ahead log, where what was overwritten in the file still stands.

        It waits for readers, as those of a backup, and keeps writers out meanwhile: soon it is left to the next time.
        """
        if self._connection is None:
            return
        self._connection.execute(f"PRAGMA busy_timeout = {_EMPTY_LOG_MS}")
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {round(_BUSY_S * 1000)}")

    async def close(self) -> None:
        """See `JobStore.close`."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work`, which is one transaction."""

        def transaction() -> T:
            with self._transaction() as database:
                return work(database)

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            logger.warning("the file of jobs failed", extra={"cause": f"{type(error).__name__}: {error}"})
            raise Unavailable("jobs cannot be kept now, try again later") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._connection = _opened(self._path)
        self._connection.execute("BEGIN IMMEDIATE")  # never a reader that fails when it wants to write
        try:
            yield self._connection
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an accepted job outlives a loss of power
        connection.execute("PRAGMA secure_delete=ON")  # verdicts on voices are gone when they are deleted
        connection.executescript(_SCHEMA)
        _add_tasks(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _forget(database: sqlite3.Connection, job_id: str, before: float) -> None:
    """Deletes a job unless something has happened to it since."""
    deleted = database.execute("DELETE FROM jobs WHERE id = ? AND touched < ?", (job_id, before))
    if deleted.rowcount:
        database.execute("DELETE FROM items WHERE job = ?", (job_id,))


def _add_tasks(connection: sqlite3.Connection) -> None:
    """To a file of a release whose jobs were of recordings alone."""
    connection.execute("BEGIN IMMEDIATE")  # another process may do the same
    if "task" not in {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}:
        connection.execute("ALTER TABLE jobs ADD COLUMN task TEXT NOT NULL DEFAULT 'voice'")
    connection.commit()


def _row(job: Job) -> tuple[Any, ...]:
    return (
        job.job_id,
        job.caller,
        job.bucket,
        PRIORITIES.index(job.priority),
        job.state,
        job.total,
        job.created,
        job.done,
        job.failed,
        job.started,
        job.ended,
        job.callback_url,
        job.idempotency_key,
        job.fingerprint,
        job.task,
    )


def _of_row(row: Sequence[Any]) -> Job:
    job_id, caller, bucket, priority, *rest = row
    return Job(job_id, caller, bucket, PRIORITIES[priority], *rest)


def _job(database: sqlite3.Connection, statement: str, *parameters: str) -> Job | None:
    row = database.execute(statement, parameters).fetchone()
    return None if row is None else _of_row(row)
