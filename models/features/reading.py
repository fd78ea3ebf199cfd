"""From an extractor's file to its features, by its name."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from models.features.ast import AstFeatures
from models.features.seamless import SeamlessFeatures
from models.features.whisper import WhisperFeatures

Features = Annotated[AstFeatures | SeamlessFeatures | WhisperFeatures, Field(discriminator="kind")]

READERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Features]] = {
    "ASTFeatureExtractor": AstFeatures.read,
    "SeamlessM4TFeatureExtractor": SeamlessFeatures.read,
    "WhisperFeatureExtractor": WhisperFeatures.read,
}
"""By `feature_extractor_type`; they take it and `config.json`."""
