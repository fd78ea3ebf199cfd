"""The replicas of one runner under one name: found by DNS, probed individually; the least loaded one is used first.

BentoML uses one URL for a runner and keeps its connections open: with a connection-level load balancer in between, new
replicas would stay idle, and calls to a replica that disappears without closing its connections would hang.
Independent of BentoML and media.
"""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from numpy.typing import NDArray

from bonafide.errors import Unavailable
from bonafide.runner.connection import connection_closed
from bonafide.runner.remote import ModelRefused, ReplicaRemote, RunnerResult

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FIND_PERIOD_S = 5.0
_FIND_PATIENCE_S = 0.5
_PROBE_TIMEOUT_S = 2.5
PATIENCE_S = 6.0
"""A replica without a response for so long gets no more requests; one late response only means a busy machine."""
LOST_AFTER_S = 10.0
"""After so long it is considered lost, and its pending calls fail."""
_CLOSED_PATIENCE_S = 1.0
"""When it closes a connection without a reason, it has so long to answer, or gets no more requests: it has ended."""
_WATCH_PAUSE_S = 1.0


class _Replica:
    """One address and its state.

    Args:
        url: its address.
        remote: its client.
        closed: see `Replicas`.
    """

    def __init__(self, url: str, remote: ReplicaRemote, closed: Callable[[str], Awaitable[None]]) -> None:
        self.url = url
        self.remote = remote
        self.items = 0
        self.turn = 0
        self.info: dict[str, Any] | None = None
        self.answered = time.monotonic()
        self.lost = asyncio.Event()
        self._checked = asyncio.Event()
        self._checked.set()
        self._watching = asyncio.create_task(self._watch(closed))

    async def close(self) -> None:
        """Closes its connections."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self.remote.close()

    async def _watch(self, closed: Callable[[str], Awaitable[None]]) -> None:
        """Notices that its process ends; requests that it still answers, as when it drains, are left to it.

        The end of a host or a network closes nothing: probes notice that.
        """
        while True:
            try:
                await closed(self.url)
            except OSError:
                pass  # not there yet, or again
            else:
                self._checked.clear()
                known = self.info is not None
                if await self.probe(_CLOSED_PATIENCE_S) is not None:
                    self.info = None
                    if known:
                        logger.warning("replica has ended", extra={"replica": self.url})
                self._checked.set()
            await asyncio.sleep(_WATCH_PAUSE_S)

    async def probe(self, timeout_s: float | None = None) -> Exception | None:
        """Requests the model's description; returns the error, if any."""
        try:
            async with asyncio.timeout(timeout_s or _PROBE_TIMEOUT_S):
                self.info = await self.remote.info()
        # Whatever the error, this replica cannot be used now, and the others must not be affected.
        except Exception as error:
            unresponsive_s = time.monotonic() - self.answered
            if not isinstance(error, TimeoutError) or unresponsive_s > PATIENCE_S:
                self.info = None
            if unresponsive_s > LOST_AFTER_S:
                self.lost.set()
            return error
        self.answered = time.monotonic()
        self.lost.clear()
        return None

    async def score(self, items: list[NDArray[Any]], *, previous: bool = False) -> list[RunnerResult]:
        """Scores with its model, or the previous one, or fails when the replica is lost meanwhile.

        Raises:
            OSError: it cannot be reached, has ended, or was lost.
            BonafideError: see `Scores.score`.
        """
        await self._checked.wait()
        if self.info is None:
            raise ConnectionError(f"{self.url} has ended")
        self.items += len(items)
        score = self.remote.score_previous if previous else self.remote.score
        try:
            answers = await self._unless_lost(score(items))
            self.answered = time.monotonic()
            return answers
        finally:
            self.items -= len(items)

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        """See `ReplicaRemote`; has no other limit in time than that it is lost."""
        return await self._unless_lost(self.remote.prepare(reference, spoof_label))

    async def activate(self, fingerprint: str) -> bool:
        """See `ReplicaRemote`."""
        return await self._unless_lost(self.remote.activate(fingerprint))

    async def _unless_lost(self, asked: Awaitable[T]) -> T:
        """Its answer.

        Raises:
            ConnectionError: it was lost meanwhile.
        """
        request = asyncio.ensure_future(asked)
        loss = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait((request, loss), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                raise ConnectionError(f"{self.url} stopped answering")
            return request.result()
        finally:
            loss.cancel()
            request.cancel()


async def addresses_of(url: str) -> list[str]:
    """The URL once for each address that its host has now.

    Raises:
        OSError: the name has none.
    """
    parts = urlsplit(url)
    if parts.hostname is None:  # a unix socket
        return [url]
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    hosts = {f"[{address[0]}]" if family == socket.AF_INET6 else str(address[0]) for family, *_, address in found}
    return [parts._replace(netloc=f"{host}:{port}").geturl() for host in sorted(hosts)]


class Replicas:
    """All replicas of a runner as one; a `Remote`.

    Only replicas that serve the same model are used together, that of the majority: during a rollout, the old
    version is used until the new one has more replicas.

    Args:
        url: of the runner; its host may have several addresses.
        connect: makes the client of one address.
        find: finds the addresses.
        closed: connects to an address, and returns when it closes the connection.
    """

    def __init__(
        self,
        url: str,
        connect: Callable[[str], Awaitable[ReplicaRemote]],
        find: Callable[[str], Awaitable[list[str]]] = addresses_of,
        closed: Callable[[str], Awaitable[None]] = connection_closed,
    ) -> None:
        self._url = url
        self._connect = connect
        self._find = find
        self._closed = closed
        self._finding: asyncio.Task[None] | None = None
        self._next_find = 0.0
        self._replicas: list[_Replica] = []
        self._serving: list[_Replica] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._turns = itertools.count(1)

    @property
    def replicas(self) -> int:
        """Number of replicas in use."""
        return len(self._serving)

    async def info(self) -> dict[str, Any]:
        """Discovers replicas, probes all of them, and returns the model that they serve.

        Raises:
            ConnectionError: none responds.
        """
        await self._resolve()
        errors = await asyncio.gather(*(replica.probe() for replica in self._replicas))
        self._select_majority()
        if not self._serving:
            raise ConnectionError(f"{self._url}: {next((error for error in errors if error), 'no address')!r}")
        info = self._serving[0].info
        assert info is not None  # noqa: S101
        return info

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """Uses the replica with the fewest items in progress, and another one if it cannot be reached.

        Raises:
            OSError: no replica can be reached.
            BonafideError: see `Scores.score`.
        """
        return await self._score(items, previous=False)

    async def _score(self, items: list[NDArray[Any]], *, previous: bool) -> list[RunnerResult]:
        untried = list(self._serving)
        failure: Exception = ConnectionError(f"{self._url}: no replica answers")
        while untried:
            replica = min(untried, key=lambda each: (each.items, each.turn))
            replica.turn = next(self._turns)
            try:
                return await replica.score(items, previous=previous)
            except OSError as error:
                logger.warning("replica failed", extra={"replica": replica.url, "cause": repr(error)})
                failure = error
                untried.remove(replica)
                self._serving = [each for each in self._serving if each is not replica]
        raise failure

    async def score_previous(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        """As `score`, by the model before the present one."""
        return await self._score(items, previous=True)

    async def replace(self, reference: str, spoof_label: str | None) -> int:
        """See `Remote`: loads it in all that answer, and only then replaces it in all."""
        replicas = [replica for replica in self._replicas if replica.info is not None]
        if not replicas:
            raise ConnectionError(f"{self._url}: no replica answers")
        prepared = await asyncio.gather(
            *(replica.prepare(reference, spoof_label) for replica in replicas), return_exceptions=True
        )
        failures = [each for each in prepared if isinstance(each, BaseException)]
        if failures or len(set(prepared)) > 1:
            # Not of those that refused: they may hold what another process is about to put in its place.
            held = [each for each, answer in zip(replicas, prepared, strict=True) if isinstance(answer, str)]
            await asyncio.gather(*(each.activate("") for each in held), return_exceptions=True)
            if not failures:
                raise ModelRefused(f"the replicas find different models under {reference!r}")
            raise failures[0]
        fingerprint = str(prepared[0])
        activated = await asyncio.gather(
            *(replica.activate(fingerprint) for replica in replicas), return_exceptions=True
        )
        for replica, done in zip(replicas, activated, strict=True):
            if done is not True:
                logger.error("replica kept its model", extra={"replica": replica.url, "cause": repr(done)})
        if not (count := activated.count(True)):
            raise ConnectionError(f"{self._url}: no replica replaced its model")
        # One lets go what it has prepared when another takes too long, and the model of the most is used.
        if (kept := activated.count(False)) >= count:
            raise Unavailable(f"{kept} of {len(replicas)} replicas have kept their model; ask again in a minute")
        return count

    async def close(self) -> None:
        """Closes all connections."""
        tasks = [*self._closing, *([self._finding] if self._finding else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas))
        self._replicas = self._serving = []

    async def _resolve(self) -> None:
        """Resolves the addresses periodically; a slow result is used when it arrives."""
        if self._finding is None:
            if time.monotonic() < self._next_find:
                return
            self._finding = asyncio.create_task(self._reconcile())
        finding = self._finding
        await asyncio.wait((finding,), timeout=_FIND_PATIENCE_S)
        if not finding.done():
            return
        if self._finding is finding:  # else another who waited for it was first
            self._finding = None
            self._next_find = time.monotonic() + _FIND_PERIOD_S
        finding.result()

    async def _reconcile(self) -> None:
        """Connects to new addresses and closes those that are gone. If resolution fails, the known ones stay."""
        try:
            urls = await self._find(self._url)
        except OSError as error:
            logger.warning("a runner's name has no address", extra={"runner": self._url, "cause": repr(error)})
            return
        known = {replica.url: replica for replica in self._replicas}
        for url in known.keys() - set(urls):
            closing = asyncio.create_task(self._close_when_idle(known[url]))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._replicas = [known.get(url) or _Replica(url, await self._connect(url), self._closed) for url in urls]

    async def _close_when_idle(self, replica: _Replica) -> None:
        """Closes a replica that is no longer resolved, when it gets no calls and its last has ended or it is lost."""
        try:
            while replica.items or replica in self._serving:
                await asyncio.sleep(1)
                await replica.probe()
        finally:
            await replica.close()

    def _select_majority(self) -> None:
        """Selects the largest group of replicas with the same model; of equal groups, the one in use."""
        groups: list[list[_Replica]] = []
        for replica in self._replicas:
            if replica.info is not None:
                same = next((group for group in groups if group[0].info == replica.info), None)
                if same is None:
                    groups.append(same := [])
                same.append(replica)
        used = {replica.url for replica in self._serving}
        chosen = max(groups, key=lambda group: (len(group), sum(each.url in used for each in group)), default=[])
        if {replica.url for replica in chosen} != used:
            others = [each.url for group in groups if group is not chosen for each in group]
            logger.log(
                logging.WARNING if others else logging.INFO,
                "replicas",
                extra={"runner": self._url, "serving": [each.url for each in chosen], "other_model": others},
            )
        self._serving = chosen
