"""Jobs of the asyncio client, the twin of `jobs.Jobs`."""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

import grpc
from grpc import aio

from . import job_convert
from .connection import AUDIO_TIMEOUT_S, STATUS_TIMEOUT_S, Connection
from .errors import from_rpc
from .job_results import JOB_TIMEOUT_S, Job, JobResult, Priority, Task, wanted_job
from .proto import jobs_pb2 as messages
from .proto import jobs_pb2_grpc as stubs

Request = TypeVar("Request")


class AsyncJobs:
    """`Jobs` says what the verbs do."""

    def __init__(self, connection: Connection, channel: aio.Channel) -> None:
        self._metadata = connection.metadata
        self._stub: stubs.JobsAsyncStub = stubs.JobsStub(channel)

    async def create(
        self,
        bucket: str,
        *,
        keys: Sequence[str] = (),
        prefix: str | None = None,
        callback_url: str = "",
        idempotency_key: str = "",
        priority: Priority = "normal",
        task: Task = "voice",
        timeout_s: float | None = JOB_TIMEOUT_S,
    ) -> Job:
        """Has recordings, or with the task "face" photos, judged: those with `keys`, or all that begin with `prefix`.

        With an `idempotency_key` the same request makes one job, however often it is sent.
        """
        wanted = wanted_job(bucket, keys, prefix, callback_url, idempotency_key, priority, task)
        return await self._ask(self._stub.Create, wanted, timeout_s)

    async def get(self, job_id: str, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> Job:
        """How far a job is."""
        return await self._ask(self._stub.Get, messages.GetJobRequest(id=job_id), timeout_s)

    async def cancel(self, job_id: str, *, timeout_s: float | None = STATUS_TIMEOUT_S) -> Job:
        """Ends a job unless it has ended; its results so far stay."""
        return await self._ask(self._stub.Cancel, messages.CancelJobRequest(id=job_id), timeout_s)

    async def results(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = AUDIO_TIMEOUT_S
    ) -> AsyncGenerator[JobResult, None]:
        """Yields the results that are there, in the order in which they came, without the first `after`."""
        request = messages.JobResultsRequest(id=job_id, after=after)
        call = self._stub.Results(request, timeout=timeout_s, metadata=self._metadata)
        try:
            async for message in call:
                yield job_convert.job_result(message)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        finally:
            call.cancel()

    async def wait(
        self,
        job_id: str,
        *,
        every_s: float = 1.0,
        on_progress: Callable[[Job], None] | None = None,
        timeout_s: float | None = STATUS_TIMEOUT_S,
    ) -> Job:
        """Returns the job when it has ended; asks every `every_s` seconds, each time for `timeout_s` at most."""
        while True:
            found = await self.get(job_id, timeout_s=timeout_s)
            if on_progress is not None:
                on_progress(found)
            if found.has_ended:
                return found
            await asyncio.sleep(every_s)

    async def _ask(
        self, method: aio.UnaryUnaryMultiCallable[Request, messages.Job], request: Request, timeout_s: float | None
    ) -> Job:
        try:
            return job_convert.job(await method(request, timeout=timeout_s, metadata=self._metadata))
        except grpc.RpcError as error:
            raise from_rpc(error) from error
