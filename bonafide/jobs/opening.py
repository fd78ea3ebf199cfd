"""The store of jobs in the settings."""

from bonafide.jobs.store import JobStore
from bonafide.settings import Settings

_REDIS_TIMEOUT_S = 5.0
"""Unlike the cache, which is skipped when it is slow, this store is waited for."""


def open_jobs(settings: Settings) -> JobStore:
    """Redis where it is configured, else a file of SQLite. Opens no connection."""
    lease_s, keep_s, most = settings.jobs_lease_s, settings.jobs_keep_hours * 3600, settings.jobs_max_per_caller
    if settings.redis is not None:
        from bonafide.jobs.redis_store import RedisJobs

        return RedisJobs(settings.redis, timeout_s=_REDIS_TIMEOUT_S, lease_s=lease_s, keep_s=keep_s, most=most)
    from bonafide.jobs.sqlite import SqliteJobs

    return SqliteJobs(settings.jobs_db, lease_s=lease_s, keep_s=keep_s, most=most)
