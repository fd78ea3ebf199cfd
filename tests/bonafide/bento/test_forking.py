"""Processes that are forked, in an interpreter of their own; the running service's are in tests/integration."""

import subprocess
import sys
from pathlib import Path

import pytest

from bonafide.bento.forking import WORKER, is_server
from scripts.local_service import ROOT

SUPERVISOR = f"""
import asyncio, atexit, json, os, signal, sys, threading, time, types
import psutil
from bonafide.bento import forking

atexit.register(print, "the supervisor ends", flush=True)
signal.signal(signal.SIGTERM, lambda *_: print("the supervisor was told"))
os.environ["OF_THE_SUPERVISOR"] = "1"
sys.modules["told"] = types.ModuleType("told")

def server(args):
    BODY

forking.COMMON = ()
sys.modules[{WORKER!r}] = types.SimpleNamespace(main=server)
command = [sys.executable, "-m", {WORKER!r}, "service:Bonafide", "--service-name", "Any"]
program = forking.Program(command, {{"OF_THE_PROCESS": "2"}}, FOLDER, "told")

async def supervise():  # circus, too, starts processes from its event loop
    child = forking.fork(program, lambda: print("prepared", flush=True))
    while child.poll() is None:
        await asyncio.sleep(0.01)
    print("status", child.returncode, flush=True)

asyncio.run(supervise())
"""


def forked(body: str, folder: Path, supervisor: str = "") -> tuple[list[str], str]:
    """What a supervisor and the process that it forks print, in which this is the server's `main(args)`; and errors."""
    program = SUPERVISOR.replace("BODY", body.strip().replace("\n", "\n    ")).replace("FOLDER", repr(str(folder)))
    command = [sys.executable, "-c", supervisor + program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    *lines, last = ended.stdout.splitlines()
    assert last == "the supervisor ends"
    return lines, ended.stderr


def test_it_is_what_a_new_interpreter_would_be(tmp_path: Path) -> None:
    body = """
print(args, sys.argv[1:] == args, dict(os.environ), os.getcwd(), sys.path[0])
print(" ".join(psutil.Process().cmdline()).split()[1:])
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.pthread_sigmask(signal.SIG_BLOCK, []))
print("told" in sys.modules, threading.current_thread() is threading.main_thread(), threading.active_count())
asyncio.run(asyncio.sleep(0))
"""
    lines, errors = forked(body, tmp_path)
    arguments = ["service:Bonafide", "--service-name", "Any"]
    assert lines == [
        "prepared",
        f"{arguments} True {{'OF_THE_PROCESS': '2'}} {tmp_path} {tmp_path}",
        str(["-m", WORKER, *arguments]),
        "True set()",
        "False True 1",
        "status 0",
    ]
    assert not errors


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no model')", 1, "no model\n"),
        ("raise ValueError('no model')", 1, "ValueError: no model\n"),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15, ""),
    ],
)
def test_its_end_is_told(body: str, status: int, told: str, tmp_path: Path) -> None:
    lines, errors = forked(body, tmp_path)
    assert lines[-1] == f"status {status}"
    assert errors.endswith(told)
    assert bool(errors) is bool(told)


def test_it_ends_as_an_interpreter_does(tmp_path: Path) -> None:
    body = """
atexit.register(print, "the process ends")
threading.Thread(target=lambda: (time.sleep(0.2), print("a thread ends"))).start()
sys.exit(1)
"""
    assert forked(body, tmp_path)[0] == ["prepared", "a thread ends", "the process ends", "status 1"]


def test_it_logs_under_its_own_name_and_what_our_modules_say(tmp_path: Path) -> None:
    body = """
from bentoml._internal import context
context.server_context.service_type, context.server_context.service_name = "service", "Any"
log.configure_server_logging()
logger.warning("of the process")
"""
    supervisor = """
import logging
from bentoml._internal import log
log.configure_server_logging()
logger = logging.getLogger("bonafide.any")
logger.warning("of the supervisor")
"""
    (first, _, second, _), errors = forked(body, tmp_path, supervisor)
    assert first.endswith("[WARNING] [] of the supervisor")
    assert second.endswith("[WARNING] [service:Any] of the process")
    assert not errors


def test_only_servers_of_bentoml_are_forked() -> None:
    assert is_server([sys.executable, "-m", WORKER, "service:Bonafide"])
    assert not is_server([sys.executable, "-m", "anything.else", WORKER])
    assert not is_server(["tritonserver"])
