"""The Go client's verbs on jobs, against the service's gRPC server and worker with a model in this process."""

import asyncio
from pathlib import Path

import pytest

from bonafide.api.grpc import GrpcServer
from bonafide.security.caller import current_caller
from tests.bonafide.api.job_app import job_app, job_settings, working
from tests.bonafide.fakes import LocalRemote
from tests.clients.go import GO, go

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the first run compiles gRPC


async def test_jobs(tmp_path: Path) -> None:
    go(GO, "version")
    settings = job_settings(tmp_path).model_copy(update={"jobs_photos": True, "jobs_max_per_caller": 3})
    async with job_app(settings, LocalRemote()) as app:
        server = GrpcServer(app)
        (port,) = await server.start()
        address = {"BONAFIDE_JOBS_ADDRESS": f"127.0.0.1:{port}"}
        tested = asyncio.create_task(
            asyncio.to_thread(go, GO, "test", "-count=1", "-vet=off", "-v", "-run", "^TestJobs$", ".", **address)
        )
        store, caller = app.require_jobs().store, current_caller()
        try:
            while not tested.done():
                job = await store.find(caller, "to-cancel")
                if job is not None and job.state == "cancelled":
                    break
                await asyncio.sleep(0.02)
            async with working(app):
                assert "--- PASS: TestJobs" in await tested
        finally:
            await server.stop(0)
