"""Processes of the service, forked from their supervisor, which has imported what each of them needs.

BentoML starts each as a new interpreter. That takes most of a second of a processor to import BentoML, and tens of MB
that are the same in all of them; a forked process has the modules at once and shares their memory.
"""

import asyncio
import atexit
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import psutil
from bentoml._internal import log
from setproctitle import setproctitle

WORKER = "_bentoml_impl.worker.service"
"""What BentoML starts with `python -m` for each of its servers."""

COMMON = (
    WORKER,
    "_bentoml_impl.client.proxy",
    "_bentoml_impl.server.app",
    "opentelemetry.instrumentation.asgi",
    "opentelemetry.sdk.trace.export",
    "prometheus_client.multiprocess",
    "uvloop",
)
"""What all of these servers import. None may start threads, or keep what differs between their environments."""


@dataclass(frozen=True)
class Program:
    """What a forked process runs.

    Attributes:
        command: of a new interpreter that would do the same: its path, `-m`, the module, arguments.
        env: the whole environment.
        folder: working directory.
        service: the module with the service, which each process loads anew, in its own environment.
    """

    command: Sequence[str]
    env: dict[str, str]
    folder: str
    service: str


class Forked(psutil.Process):
    """A child that was forked, with as much of `psutil.Popen` as circus uses."""

    stdout = stderr = None
    returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; 0 where another has taken it already; None while it runs."""
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode


def is_server(command: Sequence[str]) -> bool:
    """Whether this command starts one of BentoML's servers."""
    return list(command[1:3]) == ["-m", WORKER]


def fork(program: Program, prepare: Callable[[], None]) -> Forked:
    """Starts a process of the service, which has the modules and the open files of this one, and nothing else.

    Must run in the main thread: the new process has that one alone.

    Args:
        program: what it runs.
        prepare: is called in it before.
    """
    for each in COMMON:
        importlib.import_module(each)
    if not gc.get_freeze_count():
        gc.freeze()  # or the first collection in each process would write to all that they share
    if sys.stdout is not None:
        sys.stdout.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            _become(program, prepare, blocked)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return Forked(child)


def _become(program: Program, prepare: Callable[[], None], blocked: set[int | signal.Signals]) -> NoReturn:
    """Runs the program and ends the process, so that nothing returns to the code of the supervisor."""
    status = 1
    try:
        _leave_supervisor(blocked)
        prepare()
        _enter(program)
        status = _run(program.command[3:])
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException:
        traceback.print_exc()  # as an interpreter does
    finally:
        os._exit(status)


def _leave_supervisor(blocked: set[int | signal.Signals]) -> None:
    """Undoes what the supervisor has set for itself: handlers of signals and of its exit, an event loop, loggers.

    Its files stay open: objects that nobody uses any more would close their descriptors, which are others by then.
    """
    signal.set_wakeup_fd(-1)
    for each in signal.valid_signals():
        if callable(signal.getsignal(each)):
            signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    asyncio.set_event_loop_policy(None)
    atexit._clear()
    log._component_name.cache_clear()  # its name in the log
    log.SERVER_LOGGING_CONFIG["disable_existing_loggers"] = False  # those of our modules are there already


def _enter(program: Program) -> None:
    """Makes the process what a new interpreter with this command would be."""
    setproctitle(" ".join(program.command))  # before the environment goes, by which it finds its place
    os.environ.clear()
    os.environ.update(program.env)
    os.chdir(program.folder)
    sys.argv[:] = program.command[2:]
    sys.path.insert(0, program.folder)
    sys.modules.pop(program.service, None)


def _run(arguments: Sequence[str]) -> int:
    """The exit status of BentoML's server, after what an interpreter does at its end."""
    try:
        sys.modules[WORKER].main(args=list(arguments))
    except SystemExit as ended:
        if isinstance(ended.code, str) and sys.stderr is not None:
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    return 0
