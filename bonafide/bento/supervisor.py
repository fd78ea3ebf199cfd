"""Corrects BentoML's supervisor: no control ports, a token for the processes it starts together, an honest exit status.

BentoML gives its arbiter (circus) two TCP ports on loopback. What is sent to the first is done: any user of the machine
could start programs as the user of the service. And it ends with status 0 also when a process of it refused to start,
which systemd and Kubernetes take for a wish to stop.
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
"""What BentoML calls the watchers of the service, and, with the runner's name, of a runner that it starts beside it."""

REFUSED = signal.SIGUSR1
"""What a process that refuses to start sends the supervisor before it ends it; see `startup.refusal_to_start`."""

_arbiter_init = Arbiter.__init__
_arbiter_start = Arbiter.start


class Watcher(Protocol):
    """What is used of circus' watcher, which starts the processes of one kind, and starts them again.

    Attributes:
        name: what BentoML calls it.
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
        _arbiter_init(self, watchers, *args, **{**options, **control_endpoints(bool(options.get("plugins")))})

    Arbiter.__init__ = init  # type: ignore[method-assign]
    Arbiter.start = _start_and_tell  # type: ignore[method-assign]


def _start_and_tell(self: Arbiter, cb: Callable[[Any], Any] | None = None) -> None:
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
    """Where an arbiter listens for commands and publishes events: nowhere outside its process.

    Args:
        for_plugins: whether plugins (`bentoml serve --reload` has one), which are processes of their own, have to reach
            it: through unix sockets, in a folder that is closed to other users.
    """
    if not for_plugins:
        return {"endpoint": "inproc://bonafide-control", "pubsub_endpoint": "inproc://bonafide-events"}
    folder = tempfile.mkdtemp(prefix="bonafide-control-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"endpoint": f"ipc://{folder}/control", "pubsub_endpoint": f"ipc://{folder}/events"}


def share_token(watchers: Sequence[Watcher]) -> None:
    """Gives the service and the runners among these a new token, also when they are started again.

    Nothing is done where BentoML starts one of them alone: what it has to agree on with the others is configured.
    """
    if not any(watcher.name.startswith(_DEPENDENCY) for watcher in watchers):
        return
    token = secrets.token_urlsafe(32)
    for watcher in watchers:
        if watcher.name == _SERVICE or watcher.name.startswith(_DEPENDENCY):
            watcher.env[TOKEN_VARIABLE] = token
