"""The client of one replica of a BentoML runner, and how the service finds the runners that BentoML started.

BentoML's client raises errors of aiohttp and of BentoML, and fails when a connection that it kept open has been closed
meanwhile. `BentoRemote` sends such a request once more and raises the errors that `bonafide.runner.remote` names.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import aiohttp
from _bentoml_impl.client import RemoteProxy
from bentoml.exceptions import BentoMLException
from numpy.typing import NDArray

from bonafide.addresses import parse_netloc
from bonafide.errors import BonafideError, DeadlineExceeded, Internal, Overloaded
from bonafide.runner.remote import TOKEN_HEADER, ModelRefused, RunnerResult
from bonafide.runner.replicas import Replicas

T = TypeVar("T")

_LIFE_S = 1.0
"""A runner that dropped a connection has so long to answer, or has ended."""


class BentoClient(Protocol):
    """What is used of BentoML's asynchronous client; the APIs are those of the runners in `service.py`."""

    async def score(self, items: list[NDArray[Any]]) -> list[tuple[Any, float, int, str]]:
        """The values of a `RunnerResult` for each item: BentoML drops the names.

        Raises:
            aiohttp.ClientError, OSError: the connection failed.
            BentoMLException: an answer with an error status.
        """

    async def score_previous(self, items: list[NDArray[Any]]) -> list[tuple[Any, float, int, str]]:
        """As `score`, by the model before.

        Raises:
            aiohttp.ClientError, OSError, BentoMLException: as `score`.
        """

    async def info(self) -> dict[str, Any]:
        """The model's description.

        Raises:
            aiohttp.ClientError, OSError, BentoMLException: as `score`.
        """

    async def prepare(self, reference: str, spoof_label: str) -> dict[str, Any]:
        """`fingerprint`, or `refused` and `busy`; an empty label is none.

        Raises:
            aiohttp.ClientError, OSError, BentoMLException: as `score`.
        """

    async def activate(self, fingerprint: str) -> bool:
        """Whether it is in place.

        Raises:
            aiohttp.ClientError, OSError, BentoMLException: as `score`.
        """

    async def close(self) -> None:
        """Closes the connections."""


class BentoRemote:
    """One replica; a `bonafide.runner.remote.ReplicaRemote`.

    Args:
        client: its BentoML client.
        model: "voice" or "face", for messages.
        loader: another one, without a limit in time, that has models loaded; None: the same.
    """

    replicas = 1

    def __init__(self, client: BentoClient, model: str, loader: BentoClient | None = None) -> None:
        self._client = client
        self._loader = loader or client
        self._model = model

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """See `Scores`."""
        return await self._scored(lambda: self._client.score(items))

    async def score_previous(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """See `Scores`."""
        return await self._scored(lambda: self._client.score_previous(items))

    async def _scored(self, request: Callable[[], Awaitable[list[tuple[Any, float, int, str]]]]) -> list[RunnerResult]:
        try:
            answers = await _connected(request, self._require_life)
        except BentoMLException as error:
            raise self._refusal(error) from error
        return [RunnerResult(*values) for values in answers]

    async def info(self) -> dict[str, Any]:
        """See `Scores`."""
        return await _answered(self._client.info)

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        """See `ReplicaRemote`."""
        answer = await _answered(lambda: self._loader.prepare(reference, spoof_label or ""))
        if "refused" in answer:
            raise ModelRefused(str(answer["refused"]), busy=bool(answer["busy"]))
        return str(answer["fingerprint"])

    async def activate(self, fingerprint: str) -> bool:
        """See `ReplicaRemote`."""
        return await _answered(lambda: self._client.activate(fingerprint))

    async def close(self) -> None:
        """See `Scores`."""
        await self._client.close()
        await self._loader.close()

    async def _require_life(self) -> None:
        """Raises TimeoutError unless the runner answers; the port of one that has ended may still take connections."""
        async with asyncio.timeout(_LIFE_S):
            await self.info()

    def _refusal(self, error: BentoMLException) -> BonafideError:
        if error.error_code.value in (429, 503):
            return Overloaded(f"the {self._model} model has no capacity")
        if error.error_code.value == 504:
            return DeadlineExceeded(f"the {self._model} model did not answer in time")
        return Internal(f"the {self._model} model failed")


async def _answered(request: Callable[[], Awaitable[T]]) -> T:
    """As `_connected`; an answer with an error status is an OSError too."""
    try:
        return await _connected(request)
    except BentoMLException as error:
        raise ConnectionError(repr(error)) from error


async def _nothing() -> None:
    """No check."""


async def _connected(request: Callable[[], Awaitable[T]], check: Callable[[], Awaitable[None]] = _nothing) -> T:
    """Sends a request, and once more if the kept-alive connection was closed meanwhile; scoring twice is harmless.

    Args:
        request: sends it.
        check: done before it is sent again; its errors are raised.

    Raises:
        OSError: no connection; TimeoutError among them.
    """
    try:
        try:
            return await request()
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                raise
            await check()
            return await request()
    except aiohttp.ClientError as error:
        if isinstance(error, OSError):
            raise
        raise ConnectionError(repr(error)) from error


def require_remote(dependency: object, name: str, model: str, token: str = "") -> Replicas:
    """The replicas behind a BentoML dependency.

    Args:
        dependency: what `bentoml.depends` gives in the service.
        name: of the runner's service.
        model: "voice" or "face", for messages.
        token: required by the runner; empty: none.

    Raises:
        RuntimeError: BentoML built the runner inside this process, where nothing is batched (`--development`, or a
            service started alone without `--depends`), or its address is invalid.
    """
    if not isinstance(dependency, RemoteProxy):
        raise RuntimeError(
            f"{name} was built inside the service process, unbatched. Serve without --development, and start a service "
            f"on its own only with --depends {name}=http://host:port."
        )
    known = dependency.to_async
    require_url(known.url, name)

    async def client_of(url: str) -> Any:
        proxy = RemoteProxy(url, service=known.service).to_async
        if token:
            proxy.default_headers[TOKEN_HEADER] = token  # its connections, made later, send these
        return await proxy.__aenter__()

    async def connect(url: str) -> BentoRemote:
        loader = await client_of(url)
        loader._session_manager._timeout = aiohttp.ClientTimeout(total=None)  # BentoML's is that of calls
        return BentoRemote(await client_of(url), model, loader)

    return Replicas(known.url, connect)


def optional_remote(dependency: object, name: str, model: str, token: str = "") -> Replicas | None:
    """As `require_remote`; None where the service has no such dependency."""
    return None if dependency is None else require_remote(dependency, name, model, token)


def require_url(url: str, name: str) -> None:
    """Refuses an address of a runner that no client could use.

    Raises:
        RuntimeError: it is none; the text does not contain it.
    """
    wrong = RuntimeError(f"--depends {name}=... must be http://host:port; an IPv6 address has brackets around it")
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "tcp"):
            parse_netloc(parts.netloc)
            return
    except ValueError:
        raise wrong from None
    if parts.scheme != "file":
        raise wrong
