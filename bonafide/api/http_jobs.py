"""HTTP: `/jobs` and what is below it. Translation only."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from bonafide.api.bodies import JsonBody, body, file_in_form, is_form, read_fields, read_json
from bonafide.api.form_file import FormFile
from bonafide.api.job_messages import job_json
from bonafide.api.json_extent import require_few_strings
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import InvalidRequest
from bonafide.jobs.jobs import JobRequest
from bonafide.jobs.key_list import listed_keys, most_bytes, most_texts
from bonafide.security.caller import current_caller

MAX_BODY_BYTES = 16 * 1024 * 1024
LIST_FIELD = "list"
"""Of a form: the part with the keys, one a line."""
FORM_FIELDS = ("bucket", "prefix", "callback_url", "idempotency_key", "priority", "task")
_MOST_OF_A_FIELD = 4096
_JSON_LINES = "application/x-ndjson"


class WantedJob(JsonBody):
    """Body of `POST /jobs`."""

    bucket: str = Field(min_length=1)
    keys: list[str] = Field([], fail_fast=True)  # a million wrong keys would be a million errors
    prefix: str | None = None
    callback_url: str = ""
    idempotency_key: str = ""
    priority: str = ""
    task: str = ""


async def create_job(app: App, request: Request, _call: Call) -> Response:
    """Accepts a job."""
    jobs = app.require_jobs()
    if is_form(request):
        wanted = await _in_form(app, request, jobs.max_keys)
    else:
        async with body(request, app.budget, MAX_BODY_BYTES) as data:
            await asyncio.to_thread(require_few_strings, data, most_texts(jobs.max_keys))
            wanted = read_json(WantedJob, data)
    job = await jobs.create(JobRequest(**wanted.model_dump()), current_caller())
    return JSONResponse(job_json(job), 202, headers={"location": f"/jobs/{job.job_id}"})


async def _in_form(app: App, request: Request, max_keys: int) -> WantedJob:
    form = FormFile(request.headers["content-type"], FORM_FIELDS, file_field=LIST_FIELD, most=_MOST_OF_A_FIELD)
    limit = min(most_bytes(max_keys), app.settings.max_audio_bytes)
    async with file_in_form(request, app.budget, limit, form) as data:
        wanted = read_fields(WantedJob, form.fields)
        keys = await asyncio.to_thread(listed_keys, data, max_keys)
    return wanted.model_copy(update={"keys": keys})


async def get_job(app: App, request: Request, _call: Call) -> dict[str, Any]:
    """How far a job is."""
    return job_json(await app.require_jobs().get(request.path_params["job_id"], current_caller()))


async def cancel_job(app: App, request: Request, _call: Call) -> dict[str, Any]:
    """Ends a job."""
    return job_json(await app.require_jobs().cancel(request.path_params["job_id"], current_caller()))


async def job_results(app: App, request: Request, call: Call) -> Response:
    """The results that are there, one JSON document a line. Each page of them may take as long as a call."""
    after, limit_s = _after(request), call.remaining_s
    pages = app.require_jobs().results(request.path_params["job_id"], current_caller(), after)
    none: list[str] = []
    first = await anext(pages, none)  # whatever is wrong is told before the response begins

    async def lines() -> AsyncIterator[str]:
        for document in first:
            yield f"{document}\n"
        page = first
        while page:  # behind the limit of the endpoint, which ends where the response begins
            async with call.lasting(limit_s).time_limit():
                page = await anext(pages, none)
            for document in page:
                yield f"{document}\n"

    return StreamingResponse(lines(), media_type=_JSON_LINES)


def _after(request: Request) -> int:
    found = request.query_params.getlist("after")
    if not found:
        return 0
    if len(found) > 1 or not (found[0].isascii() and found[0].isdecimal() and len(found[0]) < 11):
        raise InvalidRequest("after must be one number")
    return int(found[0])
