"""When a runner ends; tests/integration/test_drain.py has the running ones."""

import subprocess
import sys

from scripts.local_service import ROOT

QUIET_S = 0.5
# In a process of its own, as it gets SIGTERM: prints the seconds until the handler of before is called.
_RUNNER = """
import asyncio, signal, sys, time
from bonafide.bento import shutdown

shutdown.QUIET_S, shutdown._TICK_S = 0.5, 0.02

async def main(asked: bool) -> None:
    ended = asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    drain = shutdown.IdleDrain(20.0)
    drain.install()
    if asked:
        drain.touch()
        asyncio.get_running_loop().call_later(0.3, drain.touch)
    began = time.monotonic()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(ended.wait(), 10)
    print(time.monotonic() - began)

asyncio.run(main(sys.argv[1] == "asked"))
"""


def ended_after(what: str) -> float:
    run = subprocess.run(
        [sys.executable, "-c", _RUNNER, what], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return float(run.stdout)


def test_one_that_was_never_asked_ends_at_once() -> None:
    assert ended_after("never") < QUIET_S


def test_one_that_was_asked_waits_until_nobody_asks_any_more() -> None:
    assert ended_after("asked") >= 0.3 + QUIET_S - 0.1
