"""Corrects BentoML's supervisor: how its processes start and end, and who may tell it to.

BentoML gives its arbiter (circus) two TCP ports on loopback. The first accepts commands: any user of the machine could
start programs as the user of the service. And it exits with status 0 also when one of its processes refused to start,
which systemd and Kubernetes take for an intended stop; a taken port is a traceback. When it is killed, its processes
go on serving and keep its ports, so that the next start fails. A signal that ends it is lost while it starts processes,
or replaces them (SIGHUP), which may take the drain of each kind in turn.
Each process is a new interpreter, for which `forking.py` has a cheaper way. In a container none is replaced, and what a
process counted as open stays in `/metrics` after its end. One that is killed, as where memory runs out, is replaced
without a word.
"""

import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import circus.arbiter
import circus.process
import circus.watcher
import psutil
from bentoml._internal.utils.circus import Arbiter

from bonafide.addresses import join_address
from bonafide.bento.environment import METRICS_FOLDER
from bonafide.bento.forking import Program, fork, is_server
from bonafide.bento.metrics import forget_ended
from bonafide.bento.own_folder import own_folder
from bonafide.bento.ports import reserve
from bonafide.bento.shutdown import SIGNALS
from bonafide.parent import end_with_parent

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "BONAFIDE_RUNNER_TOKEN"  # noqa: S105 - the name, not the token
_SERVICE_NAME = "Bonafide"
_SERVICE, _DEPENDENCY = "service", "service_"
"""BentoML's names of the watchers of the service, and, with the runner's name, of a runner that it starts beside it."""

REFUSED = signal.SIGUSR1
"""Signal of a process that refuses to start to the supervisor, before it ends it; see `startup.refusal_to_start`."""

CHECK_S = 0.5
"""How often the supervisor looks whether a process has died: BentoML's 10 s are most of a killed runner's absence."""

_RETRY_S = 0.05
_RELOAD = "arbiter_reload"
"""circus' name of what it does at SIGHUP."""

_arbiter_init = Arbiter.__init__
_arbiter_start = Arbiter.start
_arbiter_stop = Arbiter.stop
_manage_watchers = Arbiter.manage_watchers
_reap_process = circus.watcher.Watcher.reap_process


class Watcher(Protocol):
    """The part in use of circus' watcher, which starts and restarts the processes of one kind.

    Attributes:
        name: given by BentoML.
        env: the whole environment of its processes.
        numprocesses: how many there are to be.
        respawn: whether one that has ended is replaced.
        processes: those that run, by their ids.
    """

    name: str
    env: dict[str, str]
    numprocesses: int
    respawn: bool
    processes: dict[int, Any]

    def kill_processes(self) -> Any:
        """Tells all of them to end, and returns a future of their ends."""


Listeners = tuple[str, tuple[int, ...]]
"""An address and its ports."""


def secure_supervisor(
    runner_token: str,
    shared: Sequence[Listeners] = (),
    forked: str | None = None,
    before_start: Callable[[], object] | None = None,
) -> None:
    """Corrects every arbiter that this process makes later. Must run when `service.py` is loaded.

    Args:
        runner_token: the configured one; empty: an arbiter that starts service and runners together makes one for them.
        shared: addresses and ports on which the processes of the service listen together, see `ports.reserve`.
        forked: name of the module with the service, whose processes are then forked from this one, except where
            changed code is loaded anew (`--reload`); None: new interpreters, as CUDA needs them.
        before_start: called before an arbiter says that it starts, and starts its processes.
    """

    def init(self: Arbiter, watchers: list[Watcher], *args: Any, **options: Any) -> None:
        circus.process.Popen = partial(_start_process, None if options.get("plugins") else forked)
        if not runner_token:
            share_token(watchers)
        replace_ended(watchers)
        ours = {"check_delay": CHECK_S, **control_endpoints(bool(options.get("plugins")))}
        _arbiter_init(self, watchers, *args, **{**options, **ours})

    Arbiter.__init__ = init  # type: ignore[method-assign]

    def start(self: Arbiter, cb: Callable[[Any], Any] | None = None) -> None:
        if before_start is not None:
            before_start()
        with _reserved(self, shared if _starts_service(self) else ()):
            _start_and_report(self, cb)

    Arbiter.start = start  # type: ignore[method-assign]
    Arbiter.stop = _stop_when_idle  # type: ignore[method-assign]
    Arbiter.manage_watchers = _check_unless_busy
    circus.arbiter._setproctitle = _keep_title
    circus.watcher.Watcher.reap_process = _reap_and_tell


@contextmanager
def _reserved(arbiter: Arbiter, shared: Sequence[Listeners]) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            for host, ports in shared:
                for each in reserve(host, ports):
                    stack.enter_context(each)
        except OSError as error:
            arbiter.exit_stack.close()
            raise SystemExit(f"Bonafide cannot start: {error.strerror}") from None
        yield


def _starts_service(arbiter: Arbiter) -> bool:
    """Whether one of the kinds of processes is the service itself, not only runners."""
    return any(_SERVICE_NAME in (watcher.args or ()) for watcher in arbiter.watchers)


def _start_process(
    forked: str | None, command: Sequence[str], *, preexec_fn: Callable[[], None], **options: Any
) -> psutil.Process:
    """As circus' own, and the process ends with this one. The thread that starts it is the arbiter's, which stays."""
    supervisor = os.getpid()

    def prepare() -> None:
        preexec_fn()
        end_with_parent(supervisor)

    if forked and is_server(command) and threading.current_thread() is threading.main_thread():
        return fork(Program(command, options["env"], options["cwd"], forked), prepare)
    return psutil.Popen(command, preexec_fn=prepare, **options)


def _keep_title(_title: str) -> None:
    """Nothing, where circus would call this process `circusd`: its processes look for BentoML's name."""


def _start_and_report(self: Arbiter, cb: Callable[[Any], Any] | None = None) -> None:
    """As BentoML's, which returns when everything has ended.

    Raises:
        SystemExit: a process refused to start, or a port cannot be listened on.
    """
    refused = False

    def note(*_: object) -> None:
        nonlocal refused
        refused = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(REFUSED, note)
    log = logging.getLogger("circus")
    log.addFilter(_is_not_repeated)
    try:
        _arbiter_start(self, cb)
    except (OSError, OverflowError) as error:  # a port above 65535 is an OverflowError
        if (address := _unbound(self)) is None:
            raise
        self.exit_stack.close()
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise SystemExit(f"Bonafide cannot start: HTTP cannot listen on {address}: {reason}") from None
    finally:
        log.removeFilter(_is_not_repeated)
    if refused:
        raise SystemExit(1)


def _check_unless_busy(self: Arbiter) -> Any:
    """As circus' own, but for a check that comes while processes are started or stopped: an error in the log there.

    Also lets go of the gauges of processes that have ended, which nobody else does.
    """
    if self._exclusive_running_command is not None or _is_ending(self.watchers):
        return None
    for folder in {watcher.env[METRICS_FOLDER] for watcher in self.watchers if METRICS_FOLDER in watcher.env}:
        forget_ended(Path(folder), {pid for watcher in self.watchers for pid in watcher.processes})
    return _manage_watchers(self)


def _reap_and_tell(self: Watcher, pid: int, status: int | None = None) -> None:
    """As circus' own; a process that was ended by another signal than those that ask it to end is told in the log."""
    process = self.processes.get(pid)
    _reap_process(self, pid, status)
    if process is None:
        return
    ended = process.returncode() if status is None else os.waitstatus_to_exitcode(status)
    if ended is not None and ended < 0 and -ended not in SIGNALS:
        logger.warning("process %d (%s) was ended by %s", pid, self.name, signal.Signals(-ended).name)


def _stop_when_idle(self: Arbiter) -> Any:
    """As BentoML's; while processes are started, where circus refuses to stop and forgets it, as soon as they are.

    While they are replaced, all are told to end at once, and the stop waits for them alone.
    """
    if self._exclusive_running_command == _RELOAD:
        _end_replacement(self.watchers)
    elif self._stopping or (self._exclusive_running_command is None and not _any_drains(self.watchers)):
        return _arbiter_stop(self)
    self.loop.call_later(_RETRY_S, _stop_when_idle, self)
    return None


def _end_replacement(watchers: Sequence[Watcher]) -> None:
    """Lets none of their processes be started any more, and tells those that run to end."""
    for watcher in watchers:
        watcher.numprocesses = 0
        watcher.kill_processes()


def _is_ending(watchers: Sequence[Watcher]) -> bool:
    """Whether `_end_replacement` was called; processes that are gone then are no reason to end with an error."""
    return not any(watcher.numprocesses for watcher in watchers)


def _any_drains(watchers: Sequence[Watcher]) -> bool:
    """Whether a process that was told to end has not ended."""
    return any(process.stopping for watcher in watchers for process in watcher.processes.values())


def _is_not_repeated(record: logging.LogRecord) -> bool:
    """Whether circus says something that the message of a refused start does not."""
    return not record.getMessage().startswith("Could not bind")


def _unbound(arbiter: Arbiter) -> str | None:
    """The address of the first socket that is not bound to a port, where a start that failed has stopped."""
    for each in arbiter.sockets.values():
        if not each.is_unix and each.getsockname()[1] == 0:
            return join_address(each.host, each.port)
    return None


def control_endpoints(for_plugins: bool) -> dict[str, str]:
    """Endpoints for the commands and events of one arbiter: none outside its process.

    Names inside the process are new each time: a socket that was closed keeps its name until another thread of zmq has
    let it go, and an arbiter that takes the same name before that cannot start.

    Args:
        for_plugins: whether plugins (`bentoml serve --reload` has one), which are processes of their own, must reach
            it: through unix sockets, in a folder without access for other users.
    """
    if not for_plugins:
        name = secrets.token_hex(8)
        return {"endpoint": f"inproc://{name}-control", "pubsub_endpoint": f"inproc://{name}-events"}
    folder = own_folder()
    return {"endpoint": f"ipc://{folder}/control", "pubsub_endpoint": f"ipc://{folder}/events"}


def replace_ended(watchers: Sequence[Watcher]) -> None:
    """Has each process that ends replaced where there are others, also in a container, where BentoML replaces none.

    There the end of a runner, also of a second model's, would end all; and one of several processes of the service
    would stay away. A process that is alone ends its container, which is started again.
    """
    if sum(watcher.numprocesses for watcher in watchers) > 1:
        for watcher in watchers:
            watcher.respawn = True


def share_token(watchers: Sequence[Watcher]) -> None:
    """Gives the service and the runners among these a new token, also when they are started again.

    Does nothing where BentoML starts one of them alone: its token is then configured.
    """
    if not any(watcher.name.startswith(_DEPENDENCY) for watcher in watchers):
        return
    token = secrets.token_urlsafe(32)
    for watcher in watchers:
        if watcher.name == _SERVICE or watcher.name.startswith(_DEPENDENCY):
            watcher.env[TOKEN_VARIABLE] = token
