"""A store of transactions in memory, which runs one transaction after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from dissever.harness import clock
from dissever.harness.client import Client
from dissever.harness.generator import clients
from dissever.harness.history import Event, History
from dissever.harness.interpreter import TimeLimits, interpret


class Database:
    """What several stores share: values of registers, lists, and who is in a transaction."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.lists: dict[int, list[int]] = {}
        self.lock = asyncio.Lock()


class MemoryTransactions:
    """One client of a `Database`; what it changes is taken back when it does not commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before: tuple[dict[int, int], dict[int, list[int]]] | None = None

    async def begin(self) -> None:
        await self._database.lock.acquire()
        lists = {key: list(held) for key, held in self._database.lists.items()}
        self._before = dict(self._database.values), lists

    async def read(self, key: int) -> int | None:
        return self._database.values.get(key)

    async def write(self, key: int, value: int) -> None:
        self._database.values[key] = value

    async def read_list(self, key: int) -> list[int]:
        return list(self._database.lists.get(key, ()))

    async def append(self, key: int, value: int) -> None:
        self._database.lists.setdefault(key, []).append(value)

    async def commit(self) -> None:
        self._end()

    async def rollback(self) -> None:
        if self._before is not None:
            self._database.values, self._database.lists = self._before
            self._end()

    async def close(self) -> None:
        await MemoryTransactions.rollback(self)

    def _end(self) -> None:
        self._before = None
        self._database.lock.release()


class SlowTransactions(MemoryTransactions):
    """The same, with time that passes at each read, so that others have their turn."""

    async def read(self, key: int) -> int | None:
        await asyncio.sleep(0.001)
        return await super().read(key)

    async def read_list(self, key: int) -> list[int]:
        await asyncio.sleep(0.001)
        return await super().read_list(key)


def history_of(source: Any, made: Callable[[], Client]) -> History:
    """What five clients did that were asked by a generator, in virtual time."""
    events: list[Event] = []

    async def open_client(_node: str) -> Client:
        return made()

    work = interpret(
        clients(source),
        open_client=open_client,
        nodes=("n1",),
        concurrency=5,
        nemeses={},
        rng=Random(7),
        record=events.append,
        limits=TimeLimits(operation_s=10.0),
    )
    clock.run(work, is_virtual=True)
    return History(events)


class WholeMemoryTransactions:
    """The same, as a store that takes a transaction as a whole."""

    def __init__(self, database: Database) -> None:
        self._steps = MemoryTransactions(database)

    async def transaction(self, operations: list[list[Any]]) -> list[list[Any]]:
        await self._steps.begin()
        done = [[f, key, await self._do(f, key, value)] for f, key, value in operations]
        await self._steps.commit()
        return done

    async def _do(self, f: str, key: int, value: Any) -> Any:
        if f == "r":
            return await self._steps.read_list(key)
        await self._steps.append(key, value)
        return value

    async def close(self) -> None:
        await self._steps.close()
