"""mosec: a server in Rust, and a process for each model, which decodes and scores its batches.

Usage: python -m benchmarks.peer_servers.mosec_server --address 127.0.0.1 --port PORT
"""

from typing import Any

from mosec import Runtime, Server, Worker

from benchmarks.peer_servers.model import Model, Task, described

_BATCH_WAIT_MS = 5
_TIMEOUT_S = 600


class Voice(Worker):
    """Scores recordings."""

    task: Task = "voice"

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.task)

    def deserialize(self, data: bytes) -> Any:
        """See `Model.decode`."""
        return self.model.decode(data)

    def forward(self, data: list[Any]) -> list[float]:
        """See `Model.score`."""
        return self.model.score(data)


class Face(Voice):
    """Scores photos."""

    task: Task = "face"


if __name__ == "__main__":
    server = Server()
    server.register_runtime(
        {
            f"/{worker.task}": [
                Runtime(
                    worker,
                    max_batch_size=described(worker.task)["max_batch"],
                    max_wait_time=_BATCH_WAIT_MS,
                    timeout=_TIMEOUT_S,
                )
            ]
            for worker in (Voice, Face)
        }
    )
    server.run()
