"""What a service process does for jobs."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.bonafide.api.job_app import job_app, job_settings
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.receiver import receiver


async def test_a_callback_that_the_settings_allow_no_longer_is_not_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its job was accepted before a restart, or by a replica with other settings."""
    async with receiver() as told:
        origin = told.url.rpartition("/")[0]
        for folder, allowed, outcome in (("a", "https://app.example.com", "failed"), ("b", origin, "delivered")):
            settings = job_settings(tmp_path / folder).model_copy(update={"jobs_callbacks": (allowed,)})
            async with job_app(settings, LocalRemote()) as app:
                assert await app.require_job_work().tell(b"{}", told.url) == outcome
        assert told.bodies == [b"{}"]
    assert "callback is not called" in caplog.text


async def test_the_largest_objects_of_one_caller_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with job_app(job_settings(tmp_path), LocalRemote()) as app, AsyncExitStack() as held:
        async with asyncio.timeout(5):
            for _ in range(app.settings.jobs_concurrency):
                budget = app.require_job_work().voice._budget
                await held.enter_async_context(budget.hold(app.settings.max_object_bytes, "ann"))
