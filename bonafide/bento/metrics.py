"""The content of BentoML's `/metrics`, for a separate port."""

from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer


def metrics() -> tuple[bytes, str]:
    """All metrics of this process, BentoML's and ours, and their content type."""
    client: Any = BentoMLContainer.metrics_client.get()
    return client.generate_latest(), client.CONTENT_TYPE_LATEST
