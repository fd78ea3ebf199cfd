"""The interface of a process that holds a model; `bonafide.bento.remote` implements it with BentoML's client."""

from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

TOKEN_HEADER = "x-bonafide-runner-token"  # noqa: S105 - the name, not the token
"""Authenticates the service to a runner."""


class RunnerResult(NamedTuple):
    """What a runner returns for each item.

    Attributes:
        judged: the numbers of a `WindowScore` for a window, of a `PhotoScore` for a photo.
        inference_s: seconds that the item's batch took.
        batch_size: items in that batch.
        fingerprint: of the model that answered, see `models.info.ModelInfo.fingerprint`.
    """

    judged: Any
    inference_s: float
    batch_size: int
    fingerprint: str


class Remote(Protocol):
    """A client of a runner: of one replica, or of all of them (`bonafide.runner.replicas.Replicas`)."""

    @property
    def replicas(self) -> int:
        """Number of processes that share the work, as of the last `info`."""

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """One result for each item.

        Args:
            items: int16 windows (samples,) for voices, uint8 photos for faces, see `ModelInfo.picture_shape`.

        Raises:
            OSError: the runner cannot be reached.
            Overloaded: it refused.
            DeadlineExceeded: it took longer than a call may.
            Internal: it failed.
        """

    async def info(self) -> dict[str, Any]:
        """The model's description, see `models.info.ModelInfo.to_dict`.

        Raises:
            OSError: the runner cannot be reached, or its response is invalid.
        """

    async def close(self) -> None:
        """Closes the connections."""
