"""Runs what the command line asked for: files side by side, their results in the order they were given."""

import asyncio
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path

from rich.text import Text

from ..aio import AsyncBonafideClient
from ..convert import expect_report
from ..errors import BonafideError
from ..media import Source
from ..results import AudioReport, ChunkScore, FaceReport, Progress
from . import documents, render
from .options import USAGE, Options
from .outcome import GENUINE, UNANSWERED, Outcome, exit_code
from .printer import Printer
from .progress import Bar, Bars
from .standard_input import standard_input


async def run(options: Options) -> int:
    """Asks the service; results go to stdout, errors and progress to stderr. Returns the exit code."""
    # What only one verb needs is imported by it: the libraries of WebSockets and bars take a third of a start.
    if options.live is not None:
        from .live import listen

        return await listen(options, options.live)
    if options.verify is not None:
        from .verify import verify

        return await verify(options, options.verify)
    try:
        client = AsyncBonafideClient(
            options.address, api_key=options.api_key, tls=options.tls, key_in_clear=options.key_in_clear
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"bonafide: error: {error}\n")
        return USAGE
    async with client:
        if options.jobs is not None:
            from .jobs import jobs

            return await jobs(client, options, options.jobs)
        if options.verb == "status":
            return await _status(client, options)
        return await _judge_all(client, options)


async def _judge_all(client: AsyncBonafideClient, options: Options) -> int:
    show = _Show(options)
    free = asyncio.Semaphore(options.concurrency)
    with Bars(show.err.console, len(options.names), shown=not options.quiet) as bars:

        async def judge(name: str) -> Outcome:
            async with free:
                with bars.of(name) as bar:
                    return await _judge(client, options, name, bar)

        tasks = [asyncio.create_task(judge(name)) for name in options.names]
        outcomes = []
        try:
            for task in tasks:
                outcomes.append(await task)
                with bars.hidden():
                    show.outcome(outcomes[-1])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    show.end(outcomes)
    return exit_code(outcomes)


async def _judge(client: AsyncBonafideClient, options: Options, name: str, bar: Bar) -> Outcome:
    try:
        if options.bucket is not None:
            return Outcome(name, options.bucket, await _judge_object(client, options, name, bar))
        source: Source = standard_input() if name == "-" else Path(name)
        if options.verb == "face":
            return Outcome(name, None, await client.predict_liveness(source, timeout_s=options.timeout_s))
        report = await client.analyze_file(
            source,
            hop_s=options.hop_s,
            channel_mode=options.channel_mode,
            on_progress=bar.show,
            timeout_s=options.timeout_s,
        )
        return Outcome(name, None, report)
    except (BonafideError, OSError) as error:
        return Outcome(name, options.bucket, error)


async def _judge_object(client: AsyncBonafideClient, options: Options, key: str, bar: Bar) -> AudioReport:
    done, event = 0, None
    found = client.iter_object(
        options.bucket or "",
        key,
        hop_s=options.hop_s,
        channel_mode=options.channel_mode,
        timeout_s=options.timeout_s,
    )
    async with aclosing(found) as events:
        async for event in events:
            if isinstance(event, ChunkScore):
                done += 1
                bar.show(Progress(done_chunks=done, total_chunks=event.total_chunks))
    return expect_report(event)


async def _status(client: AsyncBonafideClient, options: Options) -> int:
    out, err = Printer(sys.stdout), Printer(sys.stderr)
    try:
        health = await client.health(timeout_s=options.timeout_s)
        voice = await client.voice_status(timeout_s=options.timeout_s)
        face = await client.face_status(timeout_s=options.timeout_s)
    except BonafideError as error:
        if options.json:
            out.document({"address": client.address} | documents.error_document(error))
        err.print(render.error(client.address, error))
        return UNANSWERED
    if options.json:
        out.document(documents.status_document(client.address, health, voice, face))
    else:
        out.print(render.status(client.address, health, voice, face, table=not options.quiet))
    return GENUINE if health == "SERVING" and voice.is_loaded and face.is_loaded else UNANSWERED


class _Show:
    """Prints outcomes as they come, and what is to be said once at the end."""

    def __init__(self, options: Options) -> None:
        self.out = Printer(sys.stdout)
        self.err = Printer(sys.stderr)
        self._options = options

    def outcome(self, outcome: Outcome) -> None:
        if self._options.json:
            self.out.document(documents.outcome_document(outcome))
        match outcome.result:
            case AudioReport() as report:
                if not self._options.json:
                    table = not self._options.quiet
                    self.out.print(render.audio(outcome.name, report, table=table, blocks=self.out.blocks))
            case FaceReport() as report:
                if not self._options.json:
                    self.out.print(render.face(outcome.name, report, blocks=self.out.blocks))
            case error:
                self.err.print(render.error(outcome.name, error))

    def end(self, outcomes: list[Outcome]) -> None:
        if self._options.json or self._options.quiet:
            return
        reports = [one.result for one in outcomes if isinstance(one.result, AudioReport | FaceReport)]
        if len(outcomes) > 1:
            labels = Counter(report.label for report in reports)
            counts = [f"{count} {label}" for label, count in sorted(labels.items())]
            if failed := len(outcomes) - len(reports):
                counts.append(f"{failed} not judged")
            self.out.print(Text(f"{len(outcomes)} files: {', '.join(counts)}", "bold"))
        for identity in sorted({report.model for report in reports}, key=lambda model: model.version):
            self.out.print(render.model(identity))
