"""What holds for all tests."""

from collections import Counter

import pytest
from hypothesis import settings

pytest_plugins = ["tests.open_connections", "tests.scheduling"]

# A busy machine is no failure; what must be quick is held to a time by its own test.
settings.register_profile("bonafide", deadline=None)
settings.load_profile("bonafide")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts groups, and then the files with the most slow tests, first: others would wait for a long one at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    grouped = {item for item in items if item.get_closest_marker("xdist_group")}
    items.sort(key=lambda item: (item not in grouped, -slow[item.path]))
