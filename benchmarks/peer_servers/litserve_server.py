"""LitServe: a process for each model, which decodes and scores its batches, and processes that take HTTP before them.

Usage: python -m benchmarks.peer_servers.litserve_server PORT
"""

import sys
from typing import Annotated, Any

import litserve
from fastapi import Depends, Request

from benchmarks.peer_servers.model import Model, Task, described

_BATCH_WAIT_S = 0.005
_TIMEOUT_S = 600


async def body(request: Request) -> bytes:
    """The bytes of a request; LitServe itself knows JSON and forms alone."""
    data: bytes = await request.body()
    return data


class Scorer(litserve.LitAPI):
    """Both models have one of these."""

    def __init__(self, task: Task) -> None:
        super().__init__(max_batch_size=described(task)["max_batch"], batch_timeout=_BATCH_WAIT_S, api_path=f"/{task}")
        self.task = task

    def setup(self, device: str) -> None:
        """Loads the model, in the process that computes."""
        self.model = Model(self.task)

    def decode_request(self, request: Annotated[bytes, Depends(body)]) -> Any:
        """See `Model.decode`."""
        return self.model.decode(request)

    def batch(self, inputs: list[Any]) -> list[Any]:
        """As they are."""
        return inputs

    def predict(self, x: list[Any]) -> list[float]:
        """See `Model.score`."""
        return self.model.score(x)

    def unbatch(self, output: list[float]) -> list[float]:
        """As they are."""
        return output

    def encode_response(self, output: float) -> float:
        """As it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        [Scorer("voice"), Scorer("face")], accelerator="cpu", timeout=_TIMEOUT_S, fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
