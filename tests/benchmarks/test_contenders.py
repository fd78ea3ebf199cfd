import re
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.contenders import Contender, running
from benchmarks.http_load import Route
from benchmarks.memory import tree
from models.info import Task

SERVER = """
import http.server, os, subprocess, sys
subprocess.Popen(["sleep", "600"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SCORE"].encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
REFUSES = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"])
sys.exit(f"there is no model; {child.pid} waits")
"""


def becomes(pid: int, *wanted: str) -> bool:
    """Whether a process soon has one of these states; one that is gone is a zombie."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = psutil.Process(pid).status()
        except psutil.NoSuchProcess:
            state = psutil.STATUS_ZOMBIE
        if state in wanted:
            return True
        time.sleep(0.01)
    return False


def ended(pid: int) -> bool:
    """Whether a process that was killed soon has ended; its new parent need not have noticed."""
    return becomes(pid, psutil.STATUS_ZOMBIE)


def contender(code: str) -> Contender:
    routes: dict[Task, Route] = {"voice": Route("/voice", float), "face": Route("/face", float)}
    return Contender("mosec", (sys.executable, "-c", code, "{port}"), {"SCORE": "0.5"}, routes)


def test_a_server_is_ready_when_it_scores_and_ends_with_all_its_processes(tmp_path: Path) -> None:
    with running(contender(SERVER), tmp_path) as server:
        processes = tree(server.process.pid)
        assert len(processes) == 2
        assert server.ready_s > 0
        assert server.pss_mib() > 1
        server.pause()
        assert all(becomes(each.pid, psutil.STATUS_STOPPED) for each in processes)
    assert all(ended(each.pid) for each in processes)


def test_it_ends_too_when_the_benchmark_fails(tmp_path: Path) -> None:
    processes = []

    def fails() -> None:
        with running(contender(SERVER), tmp_path) as server:
            processes.extend(tree(server.process.pid))
            raise KeyError("something")

    with pytest.raises(KeyError):
        fails()
    assert len(processes) == 2
    assert all(ended(each.pid) for each in processes)


def test_a_server_that_does_not_start_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mosec does not answer") as told, running(contender(REFUSES), tmp_path):
        pass
    (child,) = re.findall(r"there is no model; (\d+) waits", str(told.value))
    assert ended(int(child))
