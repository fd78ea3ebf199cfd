"""The use case, on a store that answers at once."""

import time
from typing import Any
from unittest.mock import create_autospec

import pytest

from bonafide.errors import InvalidRequest
from bonafide.jobs import jobs as use_case
from bonafide.jobs.job import Job
from bonafide.jobs.jobs import JobRequest, Jobs
from bonafide.jobs.store import JobStore
from bonafide.storage.store import ObjectStore


async def test_results_are_read_some_at_a_time_since_each_may_be_large() -> None:
    documents = [str(index) for index in range(230)]
    job = Job("0" * 32, "ann", "calls", "normal", "done", len(documents), time.time())
    store = create_autospec(JobStore)
    store.get.return_value = job
    store.results.side_effect = lambda _job_id, after, count, _most_bytes: documents[after : after + count]
    jobs = Jobs(store, create_autospec(ObjectStore), allowed_buckets=(), max_keys=1000, callbacks=())
    pages = [page async for page in jobs.results(job.job_id, "ann", 5)]
    assert max(map(len, pages)) <= 100
    assert [document for page in pages for document in page] == documents[5:]


@pytest.mark.parametrize(
    "wanted",
    [
        {"callback_url": "http://" + "a" * 3_000},
        {"keys": ["a", "k" * 1_025]},
        {"keys": (), "prefix": "p" * 1_025},
        {"bucket": "b" * 64},
    ],
    ids=lambda wanted: next(iter(wanted)),
)
async def test_names_too_long_to_be_one_are_refused_at_once(
    wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 16 MB of one held all other calls up for part of a second, and `urlsplit` kept a hundred of them for ever.
    monkeypatch.delattr(use_case, "urlsplit")
    monkeypatch.delattr(JobRequest, "fingerprint")
    jobs = Jobs(create_autospec(JobStore), create_autospec(ObjectStore), allowed_buckets=(), max_keys=9, callbacks=())
    with pytest.raises(InvalidRequest):
        await jobs.create(JobRequest(**{"bucket": "calls", "keys": ["a"], **wanted}), "ann")
