import subprocess
import sys
import time
from pathlib import Path

from benchmarks.processes import DECODING, CpuByKind
from scripts.local_service import LocalService

BUSY = "import time\nwhile time.process_time() < 0.5: pass\ntime.sleep(60)"
SUPERVISOR = f"""
import subprocess, sys, time
names = ["Bonafide", "Bonafide", "WavLMRunner", None]
children = [
    subprocess.Popen([sys.executable, "-c", {BUSY!r}, *(["--service-name", name] if name else [])]) for name in names
]
print(flush=True)
sys.stdin.read()
for child in children:
    child.kill()
"""


def test_processor_time_is_that_of_all_processes_of_a_kind() -> None:
    command = [sys.executable, "-c", SUPERVISOR]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        meter = CpuByKind(LocalService(supervisor, 0, (0, 0), Path()))
        deadline = time.monotonic() + 60
        while (spent := meter.look())["service"] < 0.8 or min(spent["voice runner"], spent[DECODING]) < 0.4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        supervisor.communicate()
    assert spent["face runner"] == 0
    assert spent["service"] > spent["voice runner"]
