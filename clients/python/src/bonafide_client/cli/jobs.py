"""`bonafide jobs`: creates jobs, follows them, and prints their results."""

import sys
from codecs import BOM_UTF8
from dataclasses import asdict

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..aio import AsyncBonafideClient
from ..errors import BonafideError
from ..job_results import Job
from ..results import FaceReport
from ..threads import in_thread
from . import documents, render
from .options import USAGE, JobsOptions, Options
from .outcome import GENUINE, UNJUDGED, Outcome, exit_code
from .printer import Printer
from .standard_input import standard_input


async def jobs(client: AsyncBonafideClient, options: Options, wanted: JobsOptions) -> int:
    """Runs one action; returns the exit code."""
    out, err = Printer(sys.stdout), Printer(sys.stderr)
    try:
        match wanted.action:
            case "create":
                return await _create(client, options, wanted, out, err)
            case "results":
                return await _results(client, options, wanted, out, err)
            case "wait":
                return await _wait(client, options, wanted.job_id, out, err)
            case "cancel":
                found = await client.jobs.cancel(wanted.job_id, timeout_s=options.timeout_s)
            case "status":
                found = await client.jobs.get(wanted.job_id, timeout_s=options.timeout_s)
    except BonafideError as error:
        return _failed(error, options, wanted, out, err).exit_code
    _show(found, options, out)
    return GENUINE


def _failed(error: BonafideError, options: Options, wanted: JobsOptions, out: Printer, err: Printer) -> Outcome:
    """Prints why there is no more."""
    name = wanted.job_id or "job"
    if options.json:
        out.document({"id": wanted.job_id} | documents.error_document(error))
    err.print(render.error(name, error))
    return Outcome(name, None, error)


async def _create(
    client: AsyncBonafideClient, options: Options, wanted: JobsOptions, out: Printer, err: Printer
) -> int:
    try:
        keys = [key for name in options.names for key in (await _listed() if name == "-" else [name])]
    except ValueError as error:
        sys.stderr.write(f"bonafide: error: {error}\n")
        return USAGE
    job = await client.jobs.create(
        options.bucket or "",
        keys=keys,
        prefix=wanted.prefix,
        callback_url=wanted.callback_url,
        idempotency_key=wanted.idempotency_key,
        priority=wanted.priority,
        task=wanted.task,
        timeout_s=options.timeout_s,
    )
    if options.json:
        out.document(asdict(job))
    else:
        out.print(Text(job.id))
    return await _wait(client, options, job.id, out, err) if wanted.wait else GENUINE


async def _wait(client: AsyncBonafideClient, options: Options, job_id: str, out: Printer, err: Printer) -> int:
    shown = err.console.is_terminal and not options.quiet
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}", markup=False),
        TimeRemainingColumn(),
        console=err.console,
        transient=True,
        disable=not shown,
    )
    task = bar.add_task("waiting", total=None, failed="")

    def show(job: Job) -> None:
        failed = f"{job.failed} failed" if job.failed else ""
        bar.update(task, description=job.state, completed=job.done + job.failed, total=job.total, failed=failed)

    # Asked first: rich prints an empty line when it stops even what it does not show.
    if shown:
        bar.start()
    try:
        job = await client.jobs.wait(job_id, on_progress=show, timeout_s=options.timeout_s)
    finally:
        if shown:
            bar.stop()
    _show(job, options, out)
    return GENUINE if job.state == "done" and not job.failed else UNJUDGED


async def _results(
    client: AsyncBonafideClient, options: Options, wanted: JobsOptions, out: Printer, err: Printer
) -> int:
    outcomes = []
    job = await client.jobs.get(wanted.job_id, timeout_s=options.timeout_s)  # before them: all of one that is done come
    try:
        async for each in client.jobs.results(wanted.job_id, after=wanted.after, timeout_s=options.timeout_s):
            outcome = Outcome(each.key, each.bucket, each.result)
            outcomes.append(outcome)
            if options.json:
                out.document(documents.outcome_document(outcome))
            elif isinstance(each.result, BonafideError):
                err.print(render.error(each.key, each.result))
            elif isinstance(each.result, FaceReport):
                out.print(render.face(each.key, each.result, blocks=out.blocks))
            else:
                out.print(render.audio(each.key, each.result, table=False, blocks=out.blocks))
    except BonafideError as error:  # a spoof that came before it is found all the same
        outcomes.append(_failed(error, options, wanted, out, err))
    code = exit_code(outcomes) if outcomes else GENUINE
    if code == GENUINE and job.state != "done":
        err.print(Text(_progress(job)))
        return UNJUDGED
    return code


def _show(job: Job, options: Options, out: Printer) -> None:
    if options.json:
        out.document(asdict(job))
        return
    out.print(Text(_progress(job), "bold"))


def _progress(job: Job) -> str:
    text = f"{job.id} {job.state}: {job.done} of {job.total} judged"
    return text + (f", {job.failed} failed" if job.failed else "")


async def _listed() -> list[str]:
    """Keys from standard input, as `POST /jobs` reads an uploaded list.

    Raises:
        ValueError: a line is not UTF-8.
    """
    keys = []
    content = await in_thread(lambda: standard_input().read())  # a pipe may be silent
    for number, line in enumerate(content.split(b"\n"), 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)
        if line.strip():
            try:
                keys.append(line.removesuffix(b"\r").decode())
            except UnicodeDecodeError:
                raise ValueError(f"standard input, line {number}: not UTF-8") from None
    return keys
