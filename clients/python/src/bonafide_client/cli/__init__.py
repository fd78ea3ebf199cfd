"""The command `bonafide`: judges recordings and photos from a shell or a script."""

import asyncio
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from .arguments import parse
from .options import Options
from .outcome import UNANSWERED
from .printer import OutputError, readers_may_leave
from .run import run

INTERRUPTED = 130


def command() -> int:
    """The entry point of the process; returns its exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may not fit the terminal's encoding
    with readers_may_leave():
        code = _code()
        return code if _all_is_written() else code or UNANSWERED
    raise AssertionError("whoever does not read has ended the process")


def _code() -> int:
    """What `main` comes to, whatever it raises: Python itself would exit with 1, which means spoof."""
    try:
        return main()
    except SystemExit as end:  # of argparse: help, or a wrong command line
        return end.code if isinstance(end.code, int) else UNANSWERED
    except BrokenPipeError:
        raise
    except OutputError as error:
        with suppress(OSError):  # standard error may be what is full
            sys.stderr.write(f"bonafide: error: {error}\n")
    except Exception:
        with suppress(OSError):
            traceback.print_exc()
    return UNANSWERED


def _all_is_written() -> bool:
    """Empties the buffers. What a stream does not take is dropped, or Python tries again at its end: exit code 120."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError:
            written = False
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), stream.fileno())
    return written


def _open_closed_streams() -> None:
    """A stream that whoever started the process has closed is empty: Python has None, and the exit code would be 1."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # each gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  # until the process ends


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code. Ctrl-C cancels what runs at the service too."""
    options = parse(argv)
    try:
        return asyncio.run(_interruptible(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


async def _interruptible(options: Options) -> int:
    """Ctrl-C cancels it at once; Python's own handler does not wake a loop that was about to wait when it came."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine runs in one
    with suppress(NotImplementedError, RuntimeError):  # on Windows, whose loop wakes by itself; not in the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    return await run(options)
