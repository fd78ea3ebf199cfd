"""`bonafide live`: a line per window while a recording or the microphone is heard, and the verdict at the end."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import asdict

from ..errors import BonafideError
from ..live import AudioDetectionClient, LiveSummary, file_blocks, microphone
from ..live.sources import Block, file_channels
from ..threads import in_thread
from . import documents, render, render_live
from .options import USAGE, LiveOptions, Options
from .outcome import Outcome, of_voice
from .printer import Printer


async def listen(options: Options, live: LiveOptions) -> int:
    """Streams, and prints what comes back. Returns the exit code."""
    out, err = Printer(sys.stdout), Printer(sys.stderr)
    name = live.file or "microphone"
    try:
        channels = await _channels(live)
    except (BonafideError, OSError) as error:
        return _failed(name, error, options, out, err)
    try:
        client = AudioDetectionClient(
            live.url,
            api_key=options.api_key,
            tls=options.tls,
            key_in_clear=options.key_in_clear,
            chunk_duration=live.chunk_duration,
            overlap_duration=live.overlap_duration,
            channels=channels,
            channel_mode=live.channel_mode or "auto",
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"bonafide: error: {error}\n")
        return USAGE
    try:
        summary = await _stream(client, live, options, out, channels)
    except (BonafideError, OSError) as error:
        return _failed(name, error, options, out, err)
    if options.json:
        out.document({"type": "summary"} | asdict(summary) | {"unjudged_seconds": summary.unjudged_seconds})
    else:
        out.print(render_live.summary(name, summary))
        if not options.quiet:
            out.print(render.model(summary.model))
    return of_voice(summary)


async def _channels(live: LiveOptions) -> int:
    """How many are sent: unless a choice of them is made, one."""
    if live.file is None or live.channel_mode is None:
        return 1
    return await in_thread(file_channels, live.file)


def _failed(name: str, error: BonafideError | OSError, options: Options, out: Printer, err: Printer) -> int:
    if options.json:
        out.document({"file": name} | documents.error_document(error))
    err.print(render.error(name, error))
    return Outcome(name, None, error).exit_code


async def _stream(
    client: AudioDetectionClient, live: LiveOptions, options: Options, out: Printer, channels: int
) -> LiveSummary:
    if live.file is not None:
        blocks = file_blocks(live.file, realtime=live.realtime, channels=channels)
    else:
        blocks = _until_interrupted(asyncio.current_task())
    async with client, aclosing(blocks), aclosing(client.stream(blocks)) as windows:
        async for window in windows:
            if options.json:
                out.document({"type": "window"} | asdict(window))
            elif not options.quiet:
                out.print(render_live.window(window, blocks=out.blocks))
        return await client.end()


async def _until_interrupted(whole: "asyncio.Task[object] | None") -> AsyncGenerator[Block, None]:
    """What the microphone hears until Ctrl-C, which then does not end the process: the verdict is still to come.

    A second Ctrl-C cancels the whole.
    """
    first = asyncio.Event()

    def interrupted() -> None:
        if first.is_set() and whole is not None:
            whole.cancel()
        first.set()

    with suppress(NotImplementedError, RuntimeError):  # as in `cli._interruptible`
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)
    async with aclosing(microphone(until=first)) as blocks:
        async for block in blocks:
            yield block
