"""Objects of a database that nobody else uses, for a conversation with its clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, Final, Protocol

from dissever.harness.client import Invocation
from dissever.workloads.transactions import APPEND, READ, TXN, WRITE

__all__ = ["OBJECTS", "Object", "Register", "Transacted"]


class Object(Protocol):
    """One object of the database that nobody else uses, with changes that are all different."""

    def change(self) -> tuple[int, Invocation]:
        """A new change: the number that it leaves behind, and the operation."""

    def look(self) -> Invocation:
        """The operation that reads the object."""

    def is_fresh(self, seen: Any) -> bool:
        """Whether what was read can be what nobody has changed."""

    def holds(self, seen: Any, number: int) -> bool:
        """Whether what was read shows the change with that number."""


class Register:
    """A register that was never written."""

    def __init__(self, rng: Random) -> None:
        self.key = rng.randrange(1 << 30, 1 << 31)
        self._next = rng.randrange(1 << 20, 1 << 30)

    def change(self) -> tuple[int, Invocation]:
        self._next += 1
        return self._next, Invocation("write", self._next, key=self.key)

    def look(self) -> Invocation:
        return Invocation("read", key=self.key)

    def is_fresh(self, seen: Any) -> bool:
        return seen is None

    def holds(self, seen: Any, number: int) -> bool:
        return bool(seen == number)


class Elements:
    """The set; its elements were never added before."""

    def __init__(self, rng: Random) -> None:
        self._next = rng.randrange(1 << 30, 1 << 31)

    def change(self) -> tuple[int, Invocation]:
        self._next += 1
        return self._next, Invocation("add", self._next)

    def look(self) -> Invocation:
        return Invocation("read")

    def is_fresh(self, seen: Any) -> bool:
        return isinstance(seen, list)

    def holds(self, seen: Any, number: int) -> bool:
        return number in seen


class Transacted:
    """A register, or a list, that is changed and read in transactions."""

    def __init__(self, rng: Random, write: str) -> None:
        self.key = rng.randrange(1 << 30, 1 << 31)
        self.write = write
        self._next = rng.randrange(1 << 20, 1 << 30)

    def change(self) -> tuple[int, Invocation]:
        self._next += 1
        return self._next, Invocation(TXN, [[self.write, self.key, self._next]])

    def look(self) -> Invocation:
        return Invocation(TXN, [[READ, self.key, None]])

    def is_fresh(self, seen: Any) -> bool:
        return bool(seen[0][2] == ([] if self.write == APPEND else None))

    def holds(self, seen: Any, number: int) -> bool:
        held = seen[0][2]
        return number in held if isinstance(held, list) else bool(held == number)


OBJECTS: Final[Mapping[str, Callable[[Random], Object]]] = {
    "register": Register,
    "set": Elements,
    "append": partial(Transacted, write=APPEND),
    "wr": partial(Transacted, write=WRITE),
}
"""Workload -> the objects that its clients are tried on."""
