"""Lists in settings: `a,b`, `["a", "b"]`, and both in quotes, as shells, YAML and container tools leave them."""

import json
import re

_JSON = re.compile(r"\[\s*([\"'\]]|\d+\s*[,\]])")
"""The start of a JSON list of texts or numbers; `[::1]` is an address."""
_UNUSUAL = re.compile(r"[\s\"'{};]")
_BRACKETS = re.compile(r"[\[\]]")
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*\]")


def parse_list(text: str) -> list[str]:
    """The items of a list, without empty ones.

    Raises:
        ValueError: it can be read in more than one way. The text does not contain the value.
    """
    text = _unquoted(text.strip())
    items = _json(text) if _JSON.match(text) else [_unquoted(item.strip()) for item in text.split(",")]
    items = [item for item in items if item]
    if any(_UNUSUAL.search(item) or _BRACKETS.search(_ADDRESS.sub("", item)) for item in items):
        raise ValueError('must be a list like a,b or ["a", "b"]')
    return items


def _json(text: str) -> list[str]:
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(type(item) in (str, int) for item in items):
        raise ValueError('is no JSON list of texts, like ["a", "b"]')
    return [str(item).strip() for item in items]


def _unquoted(text: str) -> str:
    """Without one pair of quotes around the whole; `"a","b"` has two, and stays."""
    quote = text[:1]
    if quote in ("'", '"') and len(text) > 1 and text.endswith(quote) and quote not in text[1:-1]:
        return text[1:-1].strip()
    return text
