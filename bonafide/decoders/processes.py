"""Decoding processes, from the side of the service: forked from one template, used over a socket, killable any time."""

import asyncio
import atexit
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from bonafide.decoders import group_signals
from bonafide.decoders.frames import MAX_HEADER_BYTES, PREFIX, Frame, Media, header_of, packed

_ROOT = Path(__file__).resolve().parents[2]
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
"""The only variables passed on from the environment, which contains secrets."""
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(32 << 20)}
"""For glibc: memory that was freed is kept up to so many bytes, but not that of pieces that are larger than the first.

Otherwise every array of a short recording is given back to the kernel and taken from it anew, which is a third of what
decoding costs.
"""
_SOCKET_BUFFER = 1 << 20
_PIECE_BYTES = 1 << 20
_TAKING_S = 30.0
"""A process takes the largest file in a fraction of a second, since it has nothing else to do."""


class WorkerLost(Exception):
    """The process has ended: killed by the kernel at a limit, or crashed."""


class Template:
    """The process that others are forked from; started at the first need, and again should it have ended.

    Args:
        niceness: of all of them, 0..19: how far they give way to other processes.
    """

    def __init__(self, niceness: int = 0) -> None:
        self._niceness = niceness
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        atexit.register(self.close)

    @classmethod
    @cache
    def of_process(cls) -> "Template":
        """One for this process: it takes a second to start, and 100 MB."""
        return cls()

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def fork(self) -> socket.socket:
        """A connection to a new process, or to one that will be as soon as the template is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            try:
                with self._lock:
                    socket.send_fds(self._running(), [b"\0"], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """Ends the process and all that were forked from it."""
        with self._lock:
            if self._process is not None and self._control is not None:
                self._control.close()
                self._process.kill()
                self._process.wait()
            self._process = self._control = None

    def _running(self) -> socket.socket:
        if self._process is None or self._control is None or self._process.poll() is not None:
            if self._control is not None:
                self._control.close()
            self._control, theirs = socket.socketpair()
            with theirs, group_signals.held_back():
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "bonafide.decoders.template", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL if sys.stderr is None else None,  # a service may be started without one
                    pass_fds=(theirs.fileno(),),
                    env=_environment(),
                )
            if self._niceness:
                os.setpriority(os.PRIO_PROCESS, self._process.pid, self._niceness)
        return self._control


class Worker:
    """One decoding process. For one message at a time, from one task.

    Attributes:
        is_clean: whether it waits for a new file; else it must be killed rather than used again.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._handle: int | None = None
        self.is_clean = True

    async def started(self) -> None:
        """Waits until the process exists.

        Raises:
            WorkerLost: it could not be forked.
        """
        await _readable(self._connection)
        try:
            _, descriptors, _, _ = socket.recv_fds(self._connection, 1, 1)
        except OSError as error:
            raise WorkerLost from error
        if not descriptors:
            raise WorkerLost
        self._handle = descriptors[0]

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        if self._handle is None:
            return False
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return not poll.poll(0)

    async def send(self, header: dict[str, Any], payload: Media = b"") -> None:
        """Sends a message.

        Args:
            header: see `bonafide.decoders.worker`.
            payload: the file, in the first message of a job. A bytearray is empty afterwards: the process has the
                bytes, and two copies of a large file would be held while it is decoded.

        Raises:
            WorkerLost: the process has ended, or does not take the file.
        """
        self.is_clean = False
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TAKING_S):
                # Slices: while the event loop has a view of a bytearray, it cannot be emptied.
                first = packed(header, len(payload)) + payload[:_PIECE_BYTES]
                await loop.sock_sendall(self._connection, first)
                for start in range(_PIECE_BYTES, len(payload), _PIECE_BYTES):
                    await loop.sock_sendall(self._connection, payload[start : start + _PIECE_BYTES])
        except OSError as error:  # among them TimeoutError
            raise WorkerLost from error
        if isinstance(payload, bytearray):
            payload.clear()

    async def answer(self, *, most_bytes: int) -> Frame:
        """Waits for the reply to a message.

        Args:
            most_bytes: of the reply's payload.

        Raises:
            WorkerLost: the process has ended.
            ValueError: its reply is invalid.
        """
        try:
            header_bytes, payload_bytes = PREFIX.unpack(await self._receive(PREFIX.size))
            if header_bytes > MAX_HEADER_BYTES or payload_bytes > most_bytes:
                raise ValueError("a decoding process answers with more than was asked for")
            answer = header_of(await self._receive(header_bytes))
            received = await self._receive(payload_bytes)
        except OSError as error:
            raise WorkerLost from error
        self.is_clean = ("end" in answer or "error" in answer) and "worn" not in answer
        return Frame(answer, received)

    def kill(self) -> None:
        """Kills the process; harmless when it has ended."""
        self._connection.close()
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = None

    async def _receive(self, size: int) -> bytearray:
        loop = asyncio.get_running_loop()
        received = bytearray(size)
        with memoryview(received) as view:
            at = 0
            while at < size:
                count = await loop.sock_recv_into(self._connection, view[at:])
                if not count:
                    raise WorkerLost
                at += count
        return received


async def _readable(connection: socket.socket) -> None:
    """Waits for the first byte, which the caller reads together with what is attached to it."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def arrived() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, arrived)
    try:
        await ready
    finally:
        loop.remove_reader(connection)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = os.pathsep.join([str(_ROOT), *(entry for entry in sys.path if entry)])
    return {**kept, **_MALLOC, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
