"""What is known of a model without reading its weights, whether it judges voices or faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from models.labels import SpoofRule

if TYPE_CHECKING:
    from models.graph import SpoofGraph


class ModelSource(Protocol):
    """`build` reads the weights.

    Attributes:
        rule: which class means spoof.
        labels: the checkpoint's own class names by index; empty for a bare `.pth`.
        architecture: class that the weights fill.
        version: of the uncalibrated model.
        converted: folder of its converted graph, if it is converted already.
    """

    rule: SpoofRule
    labels: tuple[str, ...]
    architecture: str
    version: str
    converted: Path | None

    def build(self) -> "SpoofGraph":
        """The graph with its weights."""

    def parameters(self) -> int:
        """How many numbers its weights are."""
