"""Replicas of one runner, each a real object in this process that responds, fails or hangs, under one name."""

import asyncio
from typing import Any

import numpy as np

from bonafide.runner.remote import RunnerResult
from bonafide.runner.replicas import Replicas
from models.info import ModelInfo
from tests.bonafide.fakes import INFO, MODEL, LocalRemote

ITEM = np.ones(4, np.uint8)
ANSWERS = [RunnerResult(1.0, 0.001, 1, MODEL.fingerprint)]


def fingerprint(version: str) -> str:
    return ModelInfo.from_dict(INFO | {"version": version}).fingerprint


class Replica(LocalRemote):
    """One that may serve another model, or be cut off: then it never responds."""

    def __init__(self) -> None:
        super().__init__()
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.ended = asyncio.Event()
        self.closed = False
        self.asked: list[tuple[str | None, ...]] = []
        self.finds: dict[str, str] = {}
        self.prepared: str | None = None

    async def score(self, items: list[Any]) -> list[RunnerResult]:
        await self.reachable.wait()
        return await super().score(items)

    async def info(self) -> dict[str, Any]:
        await self.reachable.wait()
        return await super().info()

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        await self.reachable.wait()
        self.asked.append(("prepare", reference, spoof_label))
        if self.refused is not None:
            raise self.refused
        self.prepared = self.finds.get(reference, reference)
        return fingerprint(self.prepared)

    async def activate(self, wanted: str) -> bool:
        self.asked.append(("activate", wanted))
        if self.prepared is None or fingerprint(self.prepared) != wanted:
            self.prepared = None
            return False
        self.previous, self.model, self.prepared = self.model, INFO | {"version": self.prepared}, None
        return True

    async def close(self) -> None:
        self.closed = True


class NameService:
    """Names, their addresses, and the replicas there."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.by_address = {address: Replica() for address in "abcd"}

    async def find(self, url: str) -> list[str]:
        if not self.addresses:
            raise OSError("no such name")
        return list(self.addresses)

    async def connect(self, url: str) -> Replica:
        return self.by_address[url]

    def replicas(self) -> Replicas:
        return Replicas("http://runner:3000", self.connect, self.find, self.closed)

    async def closed(self, url: str) -> None:
        """Returns when the process behind an address is said to have ended."""
        await self.by_address[url].ended.wait()
        self.by_address[url].ended.clear()
