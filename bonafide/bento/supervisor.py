"""Corrects BentoML's supervisor: no control ports, a token for the processes it starts together, a correct exit status.

BentoML gives its arbiter (circus) two TCP ports on loopback. The first accepts commands: any user of the machine could
start programs as the user of the service. And it exits with status 0 also when one of its processes refused to start,
which systemd and Kubernetes take for an intended stop.
"""

import atexit
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bentoml._internal.utils.circus import Arbiter

TOKEN_VARIABLE = "BONAFIDE_RUNNER_TOKEN"  # noqa: S105 - the name, not the token
_SERVICE, _DEPENDENCY = "service", "service_"
"""BentoML's names of the watchers of the service, and, with the runner's name, of a runner that it starts beside it."""

REFUSED = signal.SIGUSR1
"""Signal of a process that refuses to start to the supervisor, before it ends it; see `startup.refusal_to_start`."""

CHECK_S = 0.5
"""How often the supervisor looks whether a process has died: BentoML's 10 s are most of a killed runner's absence."""

_arbiter_init = Arbiter.__init__
_arbiter_start = Arbiter.start


class Watcher(Protocol):
    """The part in use of circus' watcher, which starts and restarts the processes of one kind.

    Attributes:
        name: given by BentoML.
        env: the whole environment of its processes.
    """

    name: str
    env: dict[str, str]


def secure_supervisor(runner_token: str) -> None:
    """Corrects every arbiter that this process makes later. Must run when `service.py` is loaded.

    Args:
        runner_token: the configured one; empty: an arbiter that starts service and runners together makes one for them.
    """

    def init(self: Arbiter, watchers: list[Watcher], *args: Any, **options: Any) -> None:
        if not runner_token:
            share_token(watchers)
        ours = {"check_delay": CHECK_S, **control_endpoints(bool(options.get("plugins")))}
        _arbiter_init(self, watchers, *args, **{**options, **ours})

    Arbiter.__init__ = init  # type: ignore[method-assign]
    Arbiter.start = _start_and_report  # type: ignore[method-assign]


def _start_and_report(self: Arbiter, cb: Callable[[Any], Any] | None = None) -> None:
    """As BentoML's, which returns when everything has ended.

    Raises:
        SystemExit: a process refused to start.
    """
    refused = False

    def note(*_: object) -> None:
        nonlocal refused
        refused = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(REFUSED, note)
    _arbiter_start(self, cb)
    if refused:
        raise SystemExit(1)


def control_endpoints(for_plugins: bool) -> dict[str, str]:
    """Endpoints for an arbiter's commands and events: none outside its process.

    Args:
        for_plugins: whether plugins (`bentoml serve --reload` has one), which are processes of their own, must reach
            it: through unix sockets, in a folder without access for other users.
    """
    if not for_plugins:
        return {"endpoint": "inproc://bonafide-control", "pubsub_endpoint": "inproc://bonafide-events"}
    folder = tempfile.mkdtemp(prefix="bonafide-control-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"endpoint": f"ipc://{folder}/control", "pubsub_endpoint": f"ipc://{folder}/events"}


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
