"""
Transactions on the simulated system: the whole database is one value that the nodes agree on.

A read asks for the value. A write before the commit, and the commit, are changes of it that check
what the level of isolation asks for (`database.py`). A change that fails its check was
never proposed, so it is known to have had no effect. The same holds for a transaction whose commit
was never asked for: whatever goes wrong before that means not applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.values import reason
from dissever.systems.simulated import database
from dissever.systems.simulated.database import Blocked, Conflict, Isolation, Item, State, Step

__all__ = ["BUGS", "SimulatedTransactions", "isolation"]

BUGS: Final[Mapping[str, str]] = {
    "lost-update": "a transaction is not checked for changes of what it read and also writes",
    "dirty-write": "transactions overwrite what others have not committed",
    "fractured-read": "a node sometimes commits one half of a transaction after the other",
}
"""Bugs of transactions alone."""

BLOCKED_S: Final = 0.005
BLOCKED_TRIES: Final = 30
"""How long a transaction waits between two looks at a lock, and how often it looks."""

TORN_S: Final = 0.03
"""How long one half of a commit is seen without the other, with the bug that tears it."""

Ask = Callable[[str, Callable[[Any], tuple[Any, Any]]], Awaitable[Any]]
"""
Has the nodes agree on a change of the database, of an `f`: a pure function from the database to the
changed one and an answer, which it gives. It is carried out on every node.
"""


def isolation(level: str, bug: str) -> Isolation:
    """What a database of that level does that has a bug; empty: none."""
    chosen = database.ISOLATION[level]
    if bug == "lost-update":
        return replace(chosen, checks_writes=False, checks_updates=False)
    if bug == "dirty-write":
        return Isolation(BUGS[bug], shows_uncommitted=True)
    return chosen


@dataclass(slots=True)
class _Open:
    """The transaction that is open, as its last step left it."""

    transaction: database.Transaction


class SimulatedTransactions:
    """
    One transaction after another, on lists, registers and rows.

    Args:
        names: Gives a name to each transaction, never one twice.
        is_torn: Says whether a commit is to be made in two halves, which is a bug.
    """

    def __init__(
        self,
        ask: Ask,
        isolation: Isolation,
        names: Callable[[], int],
        is_torn: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ask = ask
        self._isolation = isolation
        self._names = names
        self._is_torn = is_torn
        self._open: _Open | None = None

    async def begin(self) -> None:
        self._open = None
        state = await self._latest()
        self._open = _Open(database.begin(state, self._names(), self._isolation))

    async def read(self, key: int) -> int | None:
        value: int | None = await self._look(database.read, ("register", key))
        return value

    async def write(self, key: int, value: int) -> None:
        await self._change(database.write, ("register", key), value)

    async def read_list(self, key: int) -> list[int]:
        return list(await self._look(database.read, ("list", key)) or ())

    async def append(self, key: int, value: int) -> None:
        await self._change(database.append, ("list", key), value)

    async def insert(self, key: int, row: int, value: int) -> bool:
        if await self._locked(key, row) is not None:
            return False
        await self._change(database.write, _row(key, row), (value,))
        return True

    async def update(self, key: int, row: int, value: int) -> list[int] | None:
        trail = await self._locked(key, row)
        if trail is not None:
            await self._change(database.append, _row(key, row), value)
        return trail

    async def delete(self, key: int, row: int) -> list[int] | None:
        trail = await self._locked(key, row)
        if trail is not None:
            await self._change(database.write, _row(key, row), None)
        return trail

    async def get(self, key: int, row: int) -> list[int] | None:
        trail = await self._look(database.read, _row(key, row))
        return None if trail is None else list(trail)

    async def select(self, key: int, modulus: int, remainder: int) -> list[tuple[int, list[int]]]:
        found = await self._look(
            database.select, ("rows", key), lambda trail: trail[-1] % modulus == remainder
        )
        return [(row, list(trail)) for row, trail in found.items()]

    async def commit(self) -> None:
        transaction = self._transaction
        if not transaction.must_commit:
            self._open = None
            return
        half = len(transaction.writes) // 2
        if half and not self._isolation.writes_at_once and self._is_torn():
            whole = transaction
            self._open = _Open(replace(whole, writes=whole.writes[:half]))
            await self._agree(database.commit, f="write")
            await asyncio.sleep(TORN_S)
            unchecked = Isolation("the second half of a commit")
            self._open = _Open(
                replace(whole, isolation=unchecked, writes=whole.writes[half:], fixed={})
            )
        await self._agree(database.commit, f="write")
        self._open = None

    async def rollback(self) -> None:
        ended, self._open = self._open, None
        if ended is not None and self._isolation.writes_at_once:
            transaction = ended.transaction
            await self._ask(
                "rollback", lambda held: (database.rollback(_of(held), transaction).state, None)
            )

    async def close(self) -> None:
        with suppress(NotApplied, OSError):  # Whoever waits for its locks goes on without, later.
            await self.rollback()

    @property
    def _transaction(self) -> database.Transaction:
        if self._open is None:
            raise NotApplied("no transaction is open", "no-transaction")
        return self._open.transaction

    async def _locked(self, key: int, row: int) -> list[int] | None:
        """The trail of a row that nobody else can change before this transaction has ended."""
        if self._isolation.writes_at_once:
            await self._change(database.lock, _row(key, row))
        return await self.get(key, row)

    async def _latest(self) -> State:
        with _uncommitted():
            return _of(await self._ask("read", lambda held: (held, held)))

    async def _look(self, step: Callable[..., Step], *arguments: Any) -> Any:
        """A step that changes no state."""
        transaction = self._transaction
        state = transaction.snapshot if self._isolation.is_snapshot else await self._latest()
        return self._done(_translated(step, state, transaction, *arguments))

    async def _change(self, step: Callable[..., Step], *arguments: Any) -> None:
        """A step that changes the state, or only what the transaction will do at its commit."""
        if self._isolation.writes_at_once:
            with _uncommitted():
                await self._agree(step, *arguments, f="prepare")
        else:
            transaction = self._transaction
            self._done(step(transaction.snapshot, transaction, *arguments))

    async def _agree(self, step: Callable[..., Step], *arguments: Any, f: str) -> None:
        """A step that changes the state, once no lock is in its way; `f`: bugs strike `write`."""
        transaction = self._transaction

        def change(held: Any) -> tuple[State, Step | None]:
            try:
                taken = _translated(step, _of(held), transaction, *arguments)
            except Blocked as blocked:
                return blocked.state, None
            return taken.state, taken

        for _ in range(BLOCKED_TRIES):
            taken = await self._ask(f, change)
            if taken is not None:
                self._done(taken)
                return
            await asyncio.sleep(BLOCKED_S)
        raise NotApplied("waited too long for a lock", "blocked")

    def _done(self, step: Step) -> Any:
        self._open = _Open(step.transaction)
        return step.answer


@contextmanager
def _uncommitted() -> Iterator[None]:
    """Nobody was asked to commit, so an error means that it never happens."""
    try:
        yield
    except OSError as error:  # A TimeoutError is one.
        raise NotApplied(f"before the commit: {reason(error)}", "uncommitted") from error


def _row(key: int, row: int) -> Item:
    return ("rows", key), row


def _of(held: Any) -> State:
    """The database before its first change is an empty one."""
    return State() if held is None else held


def _translated(step: Callable[..., Step], *arguments: Any) -> Step:
    """A step, whose errors are those of a store."""
    try:
        return step(*arguments)
    except Conflict as error:
        raise NotApplied(str(error), "conflict") from error
