"""From the service's messages on jobs to results."""

from .convert import audio_report, face_report
from .errors import BonafideError, from_code
from .job_results import Job, JobResult
from .proto import jobs_pb2 as messages
from .results import AudioReport, FaceReport


def job(message: messages.Job) -> Job:
    """How far a job is."""
    return Job(
        id=message.id,
        state=message.state,
        bucket=message.bucket,
        priority=message.priority,
        total=message.total,
        done=message.done,
        failed=message.failed,
        created_at=message.created_at,
        started_at=message.started_at if message.HasField("started_at") else None,
        ended_at=message.ended_at if message.HasField("ended_at") else None,
        callback_url=message.callback_url,
        task=message.task or "voice",  # a service that knows no tasks has jobs of recordings
    )


def job_result(message: messages.JobResult) -> JobResult:
    """What became of one recording or photo; a verdict that cannot be understood is an error of it alone."""
    if message.HasField("error"):
        error = message.error
        return JobResult(
            message.index, message.bucket, message.key, from_code(error.code, error.message, error.request_id)
        )
    photo = message.HasField("photo")
    result: AudioReport | FaceReport | BonafideError
    try:
        result = face_report(message.photo) if photo else audio_report(message.verdict)
    except BonafideError as problem:
        result = problem
    return JobResult(message.index, message.bucket, message.key, result)
