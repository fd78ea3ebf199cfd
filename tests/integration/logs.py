"""What a service must or must not write into its log, so that a failing test shows it and not the log of minutes."""

from collections.abc import Iterable

_SHOWN = 4_000


def tracebacks(log: str) -> list[str]:
    """What follows each traceback's first line."""
    return [text[:_SHOWN] for text in log.split("Traceback (most recent call last):")[1:]]


def lines_with(log: str, *texts: str) -> list[str]:
    """The lines that contain one of the texts."""
    return [line[:_SHOWN] for line in log.splitlines() if any(text in line for text in texts)]


def assert_told(log: str, *texts: str) -> None:
    """Fails with the end of the log unless it contains all the texts."""
    absent = [text for text in texts if text not in log]
    if absent:
        raise AssertionError(f"{absent} not in the log, which ends:\n{log[-_SHOWN:]}")


def contained(log: str, secrets: Iterable[str]) -> list[str]:
    """Those of the secrets that the log contains."""
    return [secret for secret in secrets if secret in log]
