import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.memory import CpuMeter, allocated_bytes, pss_bytes, tree

MIB = 2**20


@pytest.fixture
def child() -> "Iterator[subprocess.Popen[bytes]]":
    """A process that holds 64 MiB and has a child which does nothing."""
    code = (
        "import subprocess, sys; held = b'x' * 2**26; child = subprocess.Popen(['sleep', '60']);"
        "print('ready', flush=True); sys.stdin.read(); child.kill(); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def test_memory_is_that_of_all_processes(child: "subprocess.Popen[bytes]") -> None:
    found = tree(child.pid)
    assert len(found) == 2
    assert 64 * MIB < pss_bytes(found) < 128 * MIB
    assert pss_bytes(found[1:]) < 8 * MIB
    assert 64 * MIB < allocated_bytes(found) <= pss_bytes(found)
    assert CpuMeter(child.pid).look() > 0


def test_a_process_that_has_ended_has_no_memory() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        ended = psutil.Process(process.pid)
        process.kill()
    assert tree(ended.pid) == []
    assert pss_bytes([ended]) == allocated_bytes([ended]) == 0
    assert CpuMeter(ended.pid).look() == 0


def test_the_time_of_a_process_that_has_ended_and_was_not_waited_for_is_not_lost() -> None:
    code = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    import time\n"
        "    while time.process_time() < 0.5: pass\n"
        "    print('used', flush=True); sys.stdin.readline(); print('ends', flush=True); os._exit(0)\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        meter = CpuMeter(process.pid)
        used = meter.look()
        assert used >= 0.45
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        while len(tree(process.pid)) > 1:
            time.sleep(0.01)
        assert meter.look() >= used
        process.kill()
