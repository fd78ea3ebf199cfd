"""What a service must not write into its log."""

_SHOWN = 4_000


def tracebacks(log: str) -> list[str]:
    """What follows each traceback's first line, so that a failing test shows it and not the log of minutes."""
    return [text[:_SHOWN] for text in log.split("Traceback (most recent call last):")[1:]]
