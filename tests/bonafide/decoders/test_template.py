"""The process that decoding processes are forked from, while it starts."""

import os
import signal
from contextlib import closing

import pytest

from bonafide.decoders.processes import Template, Worker


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
async def test_a_signal_to_the_whole_group_as_it_starts(name: str) -> None:
    with closing(Template()) as template:
        template.start()
        pid = template.pid
        assert pid is not None
        os.kill(pid, getattr(signal, name))
        worker = Worker(template.fork())
        await worker.started()
        worker.kill()
        assert template.pid == pid


async def test_nothing_but_failures_reaches_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Template()) as template:
        worker = Worker(template.fork())
        await worker.started()
        worker.kill()
    assert capfd.readouterr() == ("", "")
