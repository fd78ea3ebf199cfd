"""What holds for all tests."""

from collections import Counter

import pytest
from hypothesis import settings

# A busy machine is no failure; what must be quick is held to a time by its own test.
settings.register_profile("bonafide", deadline=None)
settings.load_profile("bonafide")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files with the most slow tests first: a long one at the end would run while other workers idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
