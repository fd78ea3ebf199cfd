"""Values as an auditor reads them: numbers, shares, times, and texts that come from strangers."""

from scan.report.tables import Kind, Value

MAX_TEXT = 300
_NOTHING = "–"


def shown(value: Value, kind: Kind) -> str:
    """A table's value as text, not yet escaped for HTML."""
    if value is None:
        return _NOTHING
    if isinstance(value, str):
        return text(value)
    match kind:
        case "count":
            return f"{value:,}"
        case "share":
            return f"{value:.1%}".replace("%", " %")
        case "hours":
            return f"{value:,.1f}"
        case "seconds":
            return clock(value)
        case _:
            return f"{value:.3f}"


def text(value: str) -> str:
    """A text in which nothing is invisible or turns the direction of writing, of at most `MAX_TEXT` characters."""
    visible = "".join(each if each.isprintable() else _escaped(each) for each in value[: MAX_TEXT + 1])
    return visible if len(visible) <= MAX_TEXT else f"{visible[:MAX_TEXT]}…"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03, with tenths where they are not whole."""
    tenths = round(seconds * 10)
    whole, rest = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    end = f"{second:02}.{rest}" if rest else f"{second:02}"
    return f"{hours}:{minute:02}:{end}" if hours else f"{minute}:{end}"
