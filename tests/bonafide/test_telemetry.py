"""The log: what a bug of ours leaves in it, and BentoML's lines in it."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
from bentoml._internal.log import TraceRecordFilter

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


@pytest.mark.parametrize(("style", "is_json"), [("json", True), ("console", False)])
def test_lines_of_bentoml_s_servers_are_json_too(
    style: str, is_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.name = "tracehandler"
    handler.addFilter(TraceRecordFilter())
    handler.setFormatter(logging.Formatter("%(component)s %(message)s"))
    theirs = logging.getLogger("bentoml")
    monkeypatch.setattr(theirs, "handlers", [handler])
    monkeypatch.setattr(theirs, "level", logging.INFO)
    configure_logging("INFO", style)
    logging.getLogger("bentoml.serve").info("Service %s initialized", "Any")
    line = capsys.readouterr().out
    if is_json:
        told = json.loads(line)
        assert (told["level"], told["logger"]) == ("info", "bentoml.serve")
        assert told["message"] == "Service Any initialized"
        assert not {"component", "levelname_bracketed"} & told.keys()
    else:
        assert line.endswith("] Service Any initialized\n")
