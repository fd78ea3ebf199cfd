"""Who may call, and how often. Takes the key that a transport received, and does not pass it on."""

import math
from pathlib import Path

from bonafide.errors import Overloaded, Unauthenticated
from bonafide.security.keys import KeyStore
from bonafide.security.rate_limit import RateLimit
from bonafide.settings import Settings
from bonafide.settings.errors import naming

ANONYMOUS = ""
"""The caller's name where no keys are required."""


class Access:
    """Requires a known key of every call, and limits each key's calls a minute.

    Args:
        keys: the accepted ones; None: no key is required.
        calls_per_minute: for keys without a limit of their own; 0: no limit.
    """

    def __init__(self, keys: KeyStore | None, calls_per_minute: int = 0) -> None:
        self._keys = keys
        self._calls_per_minute = calls_per_minute
        self._rates = RateLimit()

    @classmethod
    def from_settings(cls, settings: Settings) -> "Access":
        """Built from the settings.

        Raises:
            WrongFile: the key file cannot be read, or the keys are malformed.
        """
        source: Path | str | None = settings.keys_file or settings.keys.get_secret_value()
        with naming("BONAFIDE_KEYS_FILE" if settings.keys_file else "BONAFIDE_KEYS"):
            return cls(KeyStore(source) if source else None, settings.key_calls_per_minute)

    def admit(self, presented: frozenset[str]) -> str:
        """Admits one call.

        Args:
            presented: the different keys that came with the call.

        Returns:
            The caller's name, or `ANONYMOUS`.

        Raises:
            Unauthenticated: there is no key, it is not known, or there are several.
            Overloaded: the key has used up its calls.
        """
        if self._keys is None:
            return ANONYMOUS
        if not presented:
            raise Unauthenticated("an API key is needed: `authorization: Bearer KEY` or `x-api-key: KEY`")
        if len(presented) > 1:  # which of them counts, proxies on the way could decide differently
            raise Unauthenticated("there are different API keys; one is needed")
        key = self._keys.find(*presented)
        if key is None:
            raise Unauthenticated("the API key is not known")
        per_minute = key.calls_per_minute or self._calls_per_minute
        if per_minute and (wait_s := self._rates.take(key.name, per_minute)):
            raise Overloaded(f"more than {per_minute} calls a minute", retry_after_s=math.ceil(wait_s))
        return key.name
