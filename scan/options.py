"""What is asked of a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.info import Task
from scan.selection import Selection


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        source: address of the archive.
        out: address of the result.
        task: recordings or photos.
        selection: which objects belong to the scan.
        keys: names of the objects to look at, or addresses in the archive's bucket; None: all below the source.
        address: of a cluster of Ray; None: this machine.
        scorers: actors that hold a model.
        gpus: of each of them.
        patience_s: how long a storage that does not answer is waited for.
        commit_s: seconds after which rows are committed at the latest.
        retry_errors: whether objects whose rows have errors are judged again.
    """

    source: str
    out: str
    task: Task
    selection: Selection
    keys: Sequence[str] | None = None
    address: str | None = None
    scorers: int = 1
    gpus: float = 0.0
    patience_s: float = 600.0
    commit_s: float = 30.0
    retry_errors: bool = False
