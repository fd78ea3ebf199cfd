"""Jobs and their results as protobuf messages: what gRPC sends and HTTP prints as JSON."""

from typing import Any

from google.protobuf.json_format import Parse

from bonafide.api.messages import as_json
from bonafide.jobs.job import Job
from proto import jobs_pb2 as messages


def job_message(job: Job) -> messages.Job:
    """How far a job is."""
    return messages.Job(
        id=job.job_id,
        state=job.state,
        bucket=job.bucket,
        priority=job.priority,
        total=job.total,
        done=job.done,
        failed=job.failed,
        created_at=job.created,
        started_at=job.started,
        ended_at=job.ended,
        callback_url=job.callback_url,
        task=job.task,
    )


def job_json(job: Job) -> dict[str, Any]:
    """The same as JSON, for HTTP and callbacks."""
    return as_json(job_message(job))


def result_message(document: str) -> messages.JobResult:
    """A kept result. What a later release wrote into it and this one does not know is left out."""
    return Parse(document, messages.JobResult(), ignore_unknown_fields=True)
