"""A connection to SQLite or PostgreSQL, for one thread: the few statements that feedback needs, in one dialect.

A connection that was lost while nothing was asked is opened again by the next statement; one that is lost by a
statement, by the one after it.
"""

import os
import select
import socket
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

_BUSY_S = 5.0
_CONNECT_S = 5

Row = tuple[Any, ...]


class DatabaseFailed(Exception):
    """The database cannot be reached, or refused a statement; the text is for the log, and holds no password."""


class Database:
    """One database.

    Args:
        location: the file of SQLite, or a `postgresql://` URL.
        limit_s: longest time of a transaction in PostgreSQL, longest wait for other writers of SQLite; None: none in
            PostgreSQL, five seconds in SQLite.

    Raises:
        ValueError: a URL of another kind, or without the driver, the package `psycopg`.
    """

    def __init__(self, location: str, *, limit_s: float | None = None) -> None:
        self._location = location
        self._limit_s = limit_s
        self._connection: Any = None
        self._failures: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
        self._mark = "?"
        self.is_postgresql = location.startswith(("postgresql://", "postgres://"))
        if self.is_postgresql:
            try:
                import psycopg
            except ImportError:
                raise ValueError("a PostgreSQL database needs the package psycopg") from None
            self._failures, self._mark = (psycopg.Error, OSError), "%s"
        elif "://" in location:
            raise ValueError("a database of feedback is a file of SQLite or a postgresql:// URL")

    def execute(self, *statements: tuple[str, Sequence[Any]]) -> list[Row]:
        """Runs statements in one transaction; `?` stands for each parameter.

        Returns:
            The rows of the last statement, if it gives any.

        Raises:
            DatabaseFailed: nothing was changed.
        """
        try:
            connection = self._connected()
            rows: list[Row] = []
            with self._limited(connection):
                for statement, parameters in statements:
                    cursor = connection.execute(statement.replace("?", self._mark), parameters)
                    rows = cursor.fetchall() if cursor.description else []
                connection.commit()
        except self._failures as error:
            self.close()
            raise DatabaseFailed(type(error).__name__ + ("" if self.is_postgresql else f": {error}")) from None
        return rows

    def close(self) -> None:
        """Closes the connection; what was not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._failures:
                return  # it is lost already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _connected(self) -> Any:
        if self.is_postgresql and self._connection is not None and _has_ended(self._connection.fileno()):
            self.close()
        if self._connection is None:
            self._connection = self._postgresql() if self.is_postgresql else self._sqlite()
        return self._connection

    @contextmanager
    def _limited(self, connection: Any) -> Iterator[None]:
        """Bounds a transaction of PostgreSQL by its own limit, and by hanging up on a server that says nothing."""
        if not self.is_postgresql or self._limit_s is None:
            yield
            return
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            timer = threading.Timer(self._limit_s, _hang_up, (line,))
            timer.start()
            try:
                # Of this transaction alone: a pooler in between may give the connection to others.
                connection.execute(f"SET LOCAL statement_timeout = {round(self._limit_s * 1000)}")
                yield
            finally:
                timer.cancel()
                timer.join()

    def _sqlite(self) -> Any:
        path = Path(self._location)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=self._limit_s or _BUSY_S, check_same_thread=False)
        # Readers and one writer at a time, of several processes; a loss of power may cost the last verdicts.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _postgresql(self) -> Any:
        import psycopg

        # No prepared statements: a pooler in between may give the next transaction another server's connection.
        return psycopg.connect(self._location, connect_timeout=_CONNECT_S, prepare_threshold=None)


def _has_ended(line: int) -> bool:
    """Whether the other end has closed an idle connection, or said that it will; nothing else comes unasked."""
    poll = select.poll()  # `select` knows the lowest 1024 files alone
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))


def _hang_up(line: socket.socket) -> None:
    """Who waits for an answer on this connection is told that it has ended."""
    with suppress(OSError):  # it has ended already
        line.shutdown(socket.SHUT_RDWR)
