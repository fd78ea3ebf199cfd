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


class ModelRefused(Exception):
    """A model that cannot take the place of the present one; the message is for the operator.

    Attributes:
        busy: whether it may be tried again soon.
    """

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


class Scores(Protocol):
    """What scores items."""

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

    async def score_previous(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """As `score`, by the model before the present one; without a fingerprint where it has been let go.

        Raises:
            OSError, Overloaded, DeadlineExceeded, Internal: as `score`.
        """

    async def info(self) -> dict[str, Any]:
        """The model's description, see `models.info.ModelInfo.to_dict`.

        Raises:
            OSError: the runner cannot be reached, or its response is invalid.
        """

    async def close(self) -> None:
        """Closes the connections."""


class ReplicaRemote(Scores, Protocol):
    """A client of one replica of a runner."""

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        """Loads a model beside the present one, which goes on; returns its fingerprint.

        Raises:
            OSError: the replica cannot be reached.
            ModelRefused: it cannot be loaded there.
        """

    async def activate(self, fingerprint: str) -> bool:
        """Puts the prepared model in the present one's place; False: it is not the one prepared, and is let go.

        Raises:
            OSError: the replica cannot be reached.
        """


class Remote(Scores, Protocol):
    """A client of all replicas of a runner (`bonafide.runner.replicas.Replicas`)."""

    @property
    def replicas(self) -> int:
        """Number of processes that share the work, as of the last `info`."""

    async def replace(self, reference: str, spoof_label: str | None) -> int:
        """Loads a model in all replicas, and then puts it in the present one's place; returns in how many.

        Args:
            reference: of the model, as the runners find it.
            spoof_label: as the setting of that name; None: as its classes are named.

        Raises:
            OSError: no replica can be reached.
            Unavailable: as many replicas or more have kept the present model.
            ModelRefused: one of them cannot load it, or they have loaded different ones; all keep the present model.
        """
