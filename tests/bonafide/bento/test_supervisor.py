"""The arbiter of BentoML's supervisor; tests/integration/test_trust.py checks the ports of the running one."""

import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import circus.arbiter
import circus.process
import circus.util
import psutil
import pytest
from bentoml._internal.utils.circus import Arbiter, ThreadedArbiter, create_standalone_arbiter
from bentoml.serving import create_watcher

from bonafide.bento import supervisor
from bonafide.bento.environment import METRICS_FOLDER
from bonafide.bento.forking import WORKER
from bonafide.bento.supervisor import CHECK_S, TOKEN_VARIABLE, control_endpoints, secure_supervisor
from bonafide.settings import Settings
from scripts.local_service import ROOT
from tests.integration.processes import has_ended


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr(Arbiter, "__init__", supervisor._arbiter_init)  # another test may have loaded `service.py`
    monkeypatch.setattr(Arbiter, "start", supervisor._arbiter_start)
    monkeypatch.setattr(Arbiter, "stop", supervisor._arbiter_stop)
    monkeypatch.setattr(Arbiter, "manage_watchers", supervisor._manage_watchers)
    monkeypatch.setattr(circus.arbiter, "_setproctitle", circus.util._setproctitle)
    monkeypatch.setattr(circus.process, "Popen", psutil.Popen)


def watchers(*names: str) -> list[Any]:
    return [create_watcher(name, ["-c", "pass"], env={}) for name in names]


def tokens(arbiter: Any) -> list[str | None]:
    return [watcher.env.get(TOKEN_VARIABLE) for watcher in arbiter.watchers]


def test_left_alone_bentoml_opens_ports() -> None:
    arbiter = create_standalone_arbiter(watchers("service"))
    assert {arbiter.endpoint[:16], arbiter.pubsub_endpoint[:16]} == {"tcp://127.0.0.1:"}


@pytest.mark.parametrize("threaded", [False, True])
def test_nothing_outside_the_process_reaches_it(threaded: bool) -> None:
    secure_supervisor("")
    arbiter = create_standalone_arbiter(watchers("service"), threaded=threaded)
    assert isinstance(arbiter, ThreadedArbiter) is threaded
    ends = [arbiter.endpoint, arbiter.pubsub_endpoint, arbiter.ctrl.endpoint]
    assert all(end.startswith("inproc://") for end in ends)
    assert arbiter.stats_endpoint is None
    assert arbiter.multicast_endpoint is None


def test_an_arbiter_starts_while_another_has_not_gone() -> None:
    secure_supervisor("")
    sleeping = [create_watcher("service", ["-c", "import time; time.sleep(60)"], env={}) for _ in range(2)]
    with ExitStack() as running:
        for watcher in sleeping:
            arbiter = create_standalone_arbiter([watcher], threaded=True)
            arbiter.start()
            running.callback(arbiter.stop)
            pid_of(watcher, other_than=None)


def test_a_dead_process_is_replaced_at_once_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    secure_supervisor("")
    sleeping = create_watcher("service", ["-c", "import time; time.sleep(60)"], env={})
    arbiter = create_standalone_arbiter([sleeping], threaded=True)
    arbiter.start()
    try:
        first = pid_of(sleeping, other_than=None)
        os.kill(first, signal.SIGKILL)
        killed = time.monotonic()
        pid_of(sleeping, other_than=first)
        assert time.monotonic() - killed < 3
    finally:
        arbiter.stop()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [f"process {first} (service) was ended by SIGKILL"]  # and nothing of the one that was to end


@pytest.mark.parametrize(("numbers", "replaced"), [((1, 1), True), ((2,), True), ((1,), False)])
def test_one_of_several_processes_is_replaced_in_a_container(
    numbers: tuple[int, ...], replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bentoml.serving.running_inside_container", lambda: True)
    secure_supervisor("")
    kinds = [create_watcher(f"kind {n}", ["-c", "pass"], numprocesses=number) for n, number in enumerate(numbers)]
    assert not any(each.respawn for each in kinds)
    create_standalone_arbiter(kinds)
    assert [each.respawn for each in kinds] == [replaced] * len(kinds)


def test_a_dead_process_has_no_gauges(tmp_path: Path) -> None:
    """Its open calls and sessions would stay in `/metrics` for ever."""
    secure_supervisor("")
    gauges = "import os, pathlib, time\n" + "\n".join(
        f"pathlib.Path(f'{tmp_path}/{kind}_{{os.getpid()}}.db').touch()" for kind in ("counter", "gauge_livesum")
    )
    env = {METRICS_FOLDER: str(tmp_path)}
    counting = create_watcher("service", ["-c", f"{gauges}\ntime.sleep(60)"], env=env)
    arbiter = create_standalone_arbiter([counting], threaded=True)
    arbiter.start()
    try:
        first = pid_of(counting, other_than=None)
        wait_for(lambda: (tmp_path / f"gauge_livesum_{first}.db").exists())
        os.kill(first, signal.SIGKILL)
        second = pid_of(counting, other_than=first)
        wait_for(lambda: not (tmp_path / f"gauge_livesum_{first}.db").exists())
        wait_for(lambda: (tmp_path / f"gauge_livesum_{second}.db").exists())
        time.sleep(2 * CHECK_S)
    finally:
        arbiter.stop()
    kept = {f"counter_{first}.db", f"counter_{second}.db", f"gauge_livesum_{second}.db"}
    assert {each.name for each in tmp_path.iterdir()} == kept


def test_a_start_that_outlasts_a_check_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arbiter, sleeping = starting_slowly(monkeypatch, 1.5 * CHECK_S)
    try:
        assert len({pid_of(watcher, other_than=None) for watcher in sleeping}) == 3
    finally:
        arbiter.stop()
    assert not [record.getMessage() for record in caplog.records if record.name == "tornado.application"]


@pytest.mark.timeout(30)
def test_a_stop_while_processes_are_started_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    arbiter, sleeping = starting_slowly(monkeypatch, 0.3)
    first = psutil.Process(pid_of(sleeping[0], other_than=None))
    arbiter.stop()
    assert has_ended(first)
    assert not any(watcher.processes for watcher in sleeping)


@pytest.mark.timeout(60)
def test_a_stop_does_not_wait_for_a_reload(caplog: pytest.LogCaptureFixture) -> None:
    secure_supervisor("")
    drains = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), exit()))\ntime.sleep(60)"
    kinds = [create_watcher(name, ["-c", drains], env={}) for name in "abc"]
    arbiter = create_standalone_arbiter(kinds, threaded=True)
    arbiter.start()
    first = [psutil.Process(pid_of(watcher, other_than=None)) for watcher in kinds]
    time.sleep(CHECK_S)  # they have their handlers
    arbiter.loop.add_callback(arbiter.reload)
    wait_for(lambda: sum(len(watcher.processes) for watcher in kinds) == 4)
    began = time.monotonic()
    arbiter.stop()
    assert time.monotonic() - began < 4.5, "one after the other they take 6 s, and their successors 2 s"
    assert all(map(has_ended, first))
    assert not any(watcher.processes for watcher in kinds)
    assert not [record.getMessage() for record in caplog.records if record.name == "tornado.application"]


def test_its_processes_end_with_it_when_it_is_killed() -> None:
    program = """
from bentoml._internal.utils.circus import create_standalone_arbiter
from bentoml.serving import create_watcher
from bonafide.bento.supervisor import secure_supervisor
secure_supervisor("")
child = "import os, time; os.write(1, b'%d\\\\n' % os.getpid()); time.sleep(60)"
create_standalone_arbiter([create_watcher(name, ["-c", child], env={}) for name in "ab"]).start()
"""
    supervisor = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    with supervisor, supervisor.stdout:
        try:
            children = [psutil.Process(int(supervisor.stdout.readline())) for _ in range(2)]
            assert all(child.is_running() for child in children)
        finally:
            supervisor.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    for child in alive:
        child.kill()
    assert not alive


def test_code_that_may_change_is_run_by_new_interpreters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "fork", lambda *_: pytest.fail("it was forked"))
    secure_supervisor("", forked="service")
    create_standalone_arbiter(watchers("service"), plugins=[{"use": "circus.plugins.CircusPlugin"}])
    command = [sys.executable, "-m", WORKER, "--help"]
    started = circus.process.Popen(command, preexec_fn=lambda: None, env=dict(os.environ), cwd=str(tmp_path))
    assert started.wait(60) == 0


def test_a_taken_port_leaves_nothing_of_bentoml_behind() -> None:
    """Such as its folder for unix sockets."""
    closed: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        secure_supervisor("", shared=[("127.0.0.1", (taken.getsockname()[1],))])
        arbiter = create_standalone_arbiter([create_watcher("service", ["Bonafide"], env={})])
        arbiter.exit_stack.callback(closed.append, True)
        with pytest.raises(SystemExit, match="cannot listen"):
            arbiter.start()
    assert closed == [True]


def test_the_supervisor_keeps_its_name() -> None:
    program = """
import psutil
from bentoml._internal.utils.circus import create_standalone_arbiter
from bentoml.serving import create_watcher
from bonafide.bento.supervisor import secure_supervisor
secure_supervisor("")
arbiter = create_standalone_arbiter([create_watcher("a", ["-c", "pass"], env={})])
arbiter.start(lambda _: (print(psutil.Process().cmdline()[-1]), arbiter.stop()))
"""
    command = [sys.executable, "-c", program, "bentoml"]
    assert subprocess.check_output(command, cwd=ROOT, text=True, timeout=60).splitlines()[-1] == "bentoml"


def starting_slowly(monkeypatch: pytest.MonkeyPatch, each_s: float) -> tuple[Any, list[Any]]:
    """An arbiter that has begun to start three processes, and their watchers."""
    secure_supervisor("")

    def slowly(*arguments: Any, **options: Any) -> psutil.Process:
        time.sleep(each_s)
        return supervisor._start_process(None, *arguments, **options)

    sleeping = [create_watcher(name, ["-c", "import time; time.sleep(60)"], env={}) for name in "abc"]
    arbiter = create_standalone_arbiter(sleeping, threaded=True)
    monkeypatch.setattr(circus.process, "Popen", slowly)
    arbiter.start()
    return arbiter, sleeping


def pid_of(watcher: Any, other_than: int | None) -> int:
    """Of its process, as soon as it has another."""
    wait_for(lambda: set(watcher.processes) - {other_than})
    return int(*set(watcher.processes) - {other_than})


def wait_for(happened: Callable[[], object]) -> None:
    end = time.monotonic() + 15
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_plugins_reach_it_through_a_folder_that_is_closed_to_others() -> None:
    paths = {Path(end.removeprefix("ipc://")) for end in control_endpoints(for_plugins=True).values()}
    assert len(paths) == 2
    (folder,) = {path.parent for path in paths}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_service_and_runners_share_a_new_token_each_time() -> None:
    secure_supervisor("")
    names = ("service_WavLMRunner", "service_DINOv2Runner", "service", "other")
    first, second = (tokens(create_standalone_arbiter(watchers(*names))) for _ in range(2))
    assert first[0] == first[1] == first[2] != second[0]
    assert first[3] is None
    assert Settings.model_validate({"runner_token": first[0]}).runner_token.get_secret_value() == first[0]


def test_a_configured_token_is_left_alone_and_so_is_who_starts_alone() -> None:
    secure_supervisor("")
    assert tokens(create_standalone_arbiter(watchers("service"))) == [None]
    secure_supervisor("a-configured-token")
    assert tokens(create_standalone_arbiter(watchers("service_WavLMRunner", "service"))) == [None, None]
