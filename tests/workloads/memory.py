"""A store of transactions in memory, which runs one transaction after another."""

from __future__ import annotations

import asyncio
from typing import Any


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
