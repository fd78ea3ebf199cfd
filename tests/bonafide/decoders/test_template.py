"""The process that decoding processes are forked from, while it starts."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bonafide.decoders.processes import Template, Worker

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
async def test_a_signal_to_the_whole_group_as_it_starts(name: str) -> None:
    with closing(Template()) as template:
        worker = Worker(template.fork())
        pid = template.pid
        assert pid is not None
        os.kill(pid, getattr(signal, name))
        await worker.started()
        worker.kill()
        assert template.pid == pid


async def test_nothing_but_failures_reaches_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Template()) as template:
        worker = Worker(template.fork())
        await worker.started()
        worker.kill()
    assert capfd.readouterr() == ("", "")


def test_a_crash_of_what_is_quiet_reaches_the_log() -> None:
    crash = "import os\nfrom bonafide.decoders import template\nwith template._quiet(): os.abort()"
    ended = subprocess.run([sys.executable, "-c", crash], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGABRT
    assert ended.stderr.startswith("Fatal Python error: Aborted")


def test_a_service_without_a_log_can_decode() -> None:
    service = (
        "import asyncio\n"
        "from bonafide.decoders.processes import Template, Worker\n"
        "asyncio.run(Worker(Template.of_process().fork()).started())\n"
    )
    command = ["bash", "-c", 'exec "$@" 2>&-', "bash", sys.executable, "-c", service]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == 0
