"""Opens evidence if it is configured: only then the package that signs is loaded, which takes 50 ms."""

from typing import TYPE_CHECKING

from bonafide.settings import Settings

if TYPE_CHECKING:
    from bonafide.evidence.evidence import Evidence


def open_evidence(settings: Settings) -> "Evidence | None":
    """As the settings say; None: there is no key.

    Raises:
        WrongFile: the key or the log's folder cannot be used.
    """
    if settings.evidence_key is None:
        return None
    from bonafide.evidence.evidence import Evidence

    return Evidence.from_settings(settings)
