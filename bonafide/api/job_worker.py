"""The worker of jobs in a service process: its verdicts are the documents that calls are answered with."""

import asyncio
from typing import Any

from bonafide.api import messages
from bonafide.api.job_messages import job_json
from bonafide.app import App
from bonafide.calls import Call
from bonafide.job_work import JobWork
from bonafide.jobs.job import Item
from bonafide.jobs.worker import JobWorker
from bonafide.voice_report import report_of


def job_worker(app: App, work: JobWork) -> JobWorker:
    """The worker on the jobs of an application; it does not run yet."""
    settings = app.settings

    async def judge(item: Item, call: Call) -> dict[str, Any]:
        if item.task == "face":
            photo = await work.require_photos().judge(item.bucket, item.key, call)
            return messages.as_json(messages.face_response(photo, call))
        report = await report_of(work.voice.analyze_object(item.bucket, item.key, call))
        # In a thread: of hours it takes tenths of a second, in which no call would go on.
        return await asyncio.to_thread(lambda: messages.as_json(messages.audio_response(report, call)))

    return JobWorker(
        work.jobs.store,
        judge,
        work.tell,
        job_json,
        app.measurements,
        work.jobs.created,
        concurrency=settings.jobs_concurrency,
        lease_s=settings.jobs_lease_s,
        timeout_s=settings.call_timeout_s,
    )
