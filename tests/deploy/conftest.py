"""What the deployment's tests share: the running service, and the table of what they measured, shown at the end."""

from collections.abc import Callable

import pytest

from tests.integration.conftest import call_mp3, face_jpg, service

__all__ = ["call_mp3", "face_jpg", "service"]

_ROWS = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Notes a line of the table: what was measured, and what was found."""
    rows = request.config.stash.setdefault(_ROWS, [])
    return lambda what, found: rows.append((what, found))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the table."""
    for what, found in config.stash.get(_ROWS, []):
        terminalreporter.write_line(f"| {what} | {found} |")
