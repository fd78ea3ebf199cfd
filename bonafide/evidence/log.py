"""The log of records: files of one compact JWS a line, each of which holds the hash of the line before it, signed.

A process has a chain of its own, named by a random id: several processes write to one folder without a lock. A chain
goes on in the next file when one is full: `<chain>.000001.jws`, `<chain>.000002.jws`, ...
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.folder_sync import sync_folder

FIRST = "0" * 64
"""What stands for the hash of the line before the first."""


@dataclass(frozen=True)
class Place:
    """Where a record is in the log.

    Attributes:
        chain: id of the chain.
        number: of the record in it, from 0.
        previous: SHA-256 of the record before it, hex; `FIRST` for the first.
    """

    chain: str
    number: int
    previous: str


class EvidenceLog:
    """Appends records. For one thread.

    A record that could not be written completely, as on a full disk, is taken back: the chain stays whole.

    Args:
        folder: of the files; made if it is not there.
        max_bytes: of a file; a longer record has one of its own.
        sync: whether each record is on the disk (fsync) before it is given out.

    Raises:
        OSError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, *, max_bytes: int, sync: bool) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"the folder of evidence {folder} cannot be written to")
        self._folder = folder
        self._max_bytes = max_bytes
        self._sync = sync
        self._file: int | None = None
        self._name_lasts = False
        self._previous = FIRST
        self._begin()

    def append(self, make: Callable[[Place], str]) -> str:
        """Makes the next record, appends it and returns it.

        Args:
            make: makes the record for its place.

        Raises:
            OSError: it is not in the log, nor is a part of it.
        """
        line = make(Place(self._chain, self._number, self._previous)).encode()
        file = self._file_for(len(line) + 1)
        before = self._size
        try:
            self._write(file, line + b"\n")
            if self._sync:
                os.fsync(file)
        except OSError:
            self._take_back(file, before)
            raise
        self._number += 1
        self._previous = hashlib.sha256(line).hexdigest()
        return line.decode()

    def close(self) -> None:
        """Closes the file; what it holds is on the disk."""
        if self._file is not None:
            with suppress(OSError):  # each record was synced, unless that was declined
                os.fsync(self._file)
            self._let_go(self._file)

    def _let_go(self, file: int) -> None:
        """Closes a file. Whatever that reports, as NFS does late, its number may be another file's from now on."""
        self._file = None
        with suppress(OSError):
            os.close(file)

    def _begin(self) -> None:
        """Begins a chain, with no file yet."""
        self._chain = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        self._number = self._part = self._size = 0
        self._previous = FIRST

    def _file_for(self, length: int) -> int:
        """The file in which so many bytes have room."""
        if self._file is None or (self._size and self._size + length > self._max_bytes):
            path = self._folder / f"{self._chain}.{self._part + 1:06d}.jws"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self.close()
            self._file, self._size = file, 0
            self._part += 1
            self._name_lasts = not self._sync
        if not self._name_lasts:
            sync_folder(self._folder)
            self._name_lasts = True
        return self._file

    def _write(self, file: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = os.write(file, left)
            self._size += written
            left = left[written:]

    def _take_back(self, file: int, size: int) -> None:
        """Removes what was written of a record; a chain whose end cannot be mended is left, and another begun."""
        try:
            os.ftruncate(file, size)
            self._size = size
        except OSError:
            self._let_go(file)
            self._begin()
