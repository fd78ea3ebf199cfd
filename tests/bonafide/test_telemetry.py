"""The log: what a bug of ours leaves in it."""

import logging
from collections.abc import Iterator

import pytest

from bonafide.calls import Call
from bonafide.errors import Internal
from bonafide.telemetry import LOGGERS, configure_logging, observed


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(each, each.handlers, each.level, each.propagate) for each in loggers]
    yield
    for each, handlers, level, propagate in before:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


def judge(recording: bytearray, key: str) -> None:
    """Has what no log may hold in its variables."""
    raise ValueError(f"a bug with {len(recording)} bytes and a key of {len(key)}")


@pytest.mark.parametrize("style", ["json", "console"])
async def test_a_traceback_has_no_media_and_no_secrets(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", style)
    voice, key = bytearray(range(65, 72)), "-".join(["a", "secret"])  # neither stands in the code as it is
    with pytest.raises(Internal):
        async with observed("http", "detect_audio", Call.within(1.0)):
            judge(voice, key)
    log = capsys.readouterr().out
    assert "Traceback" in log
    assert "a bug with 7 bytes and a key of 8" in log
    assert "ABCDEFG" not in log
    assert key not in log
