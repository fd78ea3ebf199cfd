import json
import subprocess
import sys

from bonafide.settings.group import MIB
from scripts.local_service import ROOT

UPLOADS, SIZE = 3, 40 * MIB
"""Larger than what the allocator may keep for itself when it is freed (32 MiB)."""
# In a process of its own: one that has run other tests has memory in pieces, which its allocator keeps.
_MEASURE = f"""
import asyncio, json
from benchmarks.byte_budget import measure

print(json.dumps(asyncio.run(measure({UPLOADS}, {SIZE}))))
"""


def test_large_uploads_take_the_memory_that_is_counted_and_that_of_one_more() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _MEASURE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    peak, steady = json.loads(run.stdout.splitlines()[-1])
    spare = 110 * MIB  # of the decoding processes, for anything but the files
    assert peak < (UPLOADS + 1) * SIZE + spare
    assert steady < UPLOADS * SIZE + spare
