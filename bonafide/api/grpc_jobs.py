"""gRPC: `jobs.Jobs`. Translation only."""

import asyncio

from opentelemetry.trace import Tracer

from bonafide.api.grpc_calls import Context
from bonafide.api.grpc_intake import parsed
from bonafide.api.grpc_servicer import Servicer
from bonafide.api.job_messages import job_message, result_message
from bonafide.api.protobuf_extent import require_few_fields
from bonafide.app import App
from bonafide.jobs.jobs import JobRequest
from bonafide.jobs.key_list import most_texts
from bonafide.security.caller import current_caller
from proto import jobs_pb2 as messages
from proto import jobs_pb2_grpc

JOBS_SERVICE = messages.DESCRIPTOR.services_by_name["Jobs"].full_name
CREATE_METHOD = f"/{JOBS_SERVICE}/Create"


class JobsServicer(Servicer, jobs_pb2_grpc.JobsServicer):
    """`jobs.Jobs`."""

    def __init__(self, app: App, tracer: Tracer) -> None:
        super().__init__(app, tracer)
        self._limit_s = app.settings.call_timeout_s

    async def Create(self, raw: bytes, context: Context) -> messages.Job:  # type: ignore[override]
        """Accepts a job; its message is read here, since it may hold a million keys."""
        async with self._call("CreateJob", context, self._limit_s):
            jobs = self._app.require_jobs()
            request = await asyncio.to_thread(_wanted, raw, most_texts(jobs.max_keys))
            wanted = JobRequest(
                bucket=request.bucket,
                keys=request.keys,
                prefix=request.prefix if request.HasField("prefix") else None,
                callback_url=request.callback_url,
                idempotency_key=request.idempotency_key,
                priority=request.priority,
                task=request.task,
            )
            return job_message(await jobs.create(wanted, current_caller()))
        raise AssertionError("a call that fails is aborted")

    async def Get(self, request: messages.GetJobRequest, context: Context) -> messages.Job:
        """How far a job is."""
        async with self._call("GetJob", context, self._limit_s):
            return job_message(await self._app.require_jobs().get(request.id, current_caller()))
        raise AssertionError("a call that fails is aborted")

    async def Cancel(self, request: messages.CancelJobRequest, context: Context) -> messages.Job:
        """Ends a job."""
        async with self._call("CancelJob", context, self._limit_s):
            return job_message(await self._app.require_jobs().cancel(request.id, current_caller()))
        raise AssertionError("a call that fails is aborted")

    async def Results(  # type: ignore[override]
        self, request: messages.JobResultsRequest, context: Context
    ) -> None:
        """The results that are there."""
        async with self._call("JobResults", context, self._limit_s):
            pages = self._app.require_jobs().results(request.id, current_caller(), request.after)
            async for page in pages:
                for document in page:
                    # In a thread: one of hours takes half a second, in which no other call would go on.
                    await context.write(await asyncio.to_thread(result_message, document))


def _wanted(raw: bytes, most: int) -> messages.CreateJobRequest:
    require_few_fields(raw, most)
    return parsed(raw, messages.CreateJobRequest.FromString)
