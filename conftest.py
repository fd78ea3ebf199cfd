"""What holds for all tests."""

import gc
import logging
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from httpx import create_ssl_context
from hypothesis import settings

pytest_plugins = ["tests.open_connections", "tests.run_folder", "tests.scheduling"]

# One thread each, in all processes that tests start too: of several most spin while they wait for a busy core.
for variable in ("BONAFIDE_ENGINE_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A busy machine is no failure; what must be quick is held to a time by its own test.
settings.register_profile("bonafide", deadline=None)
settings.load_profile("bonafide")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Looks for no garbage while tests are collected, and later not among what is there by then.

    That is a million objects of torch and others, which stay anyway: to walk through them takes half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_finish() -> None:
    """Lets torch's loggers pass on what they log: pytest listens at the root then, not at 60 more for each test."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = True


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """For each of its clients httpx reads the certificates of all authorities, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(create_ssl_context))
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts groups first, then files that may take longest, then by their slow tests, then by their tests.

    Others would wait for a long one at the end. It also mixes folders, in some of which tests wait, in others compute.
    """
    tests = Counter(item.path for item in items)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    grouped = {item for item in items if item.get_closest_marker("xdist_group")}
    longest: dict[Path, float] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), limit.args[0] if limit else 0.0)
    items.sort(key=lambda item: (item not in grouped, -longest[item.path], -slow[item.path], -tests[item.path]))
