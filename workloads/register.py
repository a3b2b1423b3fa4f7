"""
Many registers, each read, written, and compared-and-set by a group of clients: is each linearizable?

By default every written value is unique to its key, and a compare-and-set expects the value that was
seen last: the check is then easy, and an anomaly names the write it comes from. `values` > 0 draws
from a small range instead, as Jepsen's workload does.

Source: Jepsen, `tests/linearizable_register.clj`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol

import msgspec

from dissever.checkers.linearizable import Linearizable
from dissever.checkers.models import CAS_REGISTER
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import (
    Answer,
    Context,
    Generator,
    concurrent_keys,
    generator,
    limit,
)
from dissever.harness.generator.core import place
from dissever.harness.history import Event, Key, Type
from dissever.harness.plan import Options
from dissever.harness.results import Checker
from dissever.workloads.workload import Workload

OPERATIONS_PER_KEY = 250
"""A key is left after so many operations, so that a check stays small and keys get their turn."""

SHARES = (("read", 0.45), ("write", 0.35), ("cas", 0.2))


class Registers(Protocol):
    """The store that this workload asks of a system. Every method may raise `NotApplied`."""

    async def read(self, key: int) -> int | None:
        """The value, None if it was never written."""
        ...

    async def write(self, key: int, value: int) -> None:
        """Set the value."""
        ...

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        """Set the value if it is the old one; whether it was."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class RegisterClient:
    """Applies read, write and cas to a store."""

    def __init__(self, store: Registers) -> None:
        self._store = store

    async def invoke(self, invocation: Invocation) -> Completion:
        key, value = invocation.key, invocation.value
        assert isinstance(key, int)
        try:
            if invocation.f == "read":
                return invocation.ok(await self._store.read(key))
            if invocation.f == "write":
                await self._store.write(key, value)
                return invocation.ok(value)
            if await self._store.compare_and_set(key, value[0], value[1]):
                return invocation.ok(value)
            return invocation.fail("not the expected value")
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])

    async def close(self) -> None:
        await self._store.close()


class Operations(msgspec.Struct, frozen=True):
    """Reads, writes and compare-and-sets of one key; endless."""

    values: int
    next_value: int = 1
    last_seen: int | None = None

    def next(self, context: Context) -> Answer:
        f = self._draw(context)
        if f == "read":
            return place(Invocation("read"), context), self
        new = context.rng.randrange(self.values) if self.values else self.next_value
        rest = Operations(self.values, self.next_value + 1, self.last_seen)
        if f == "write":
            return place(Invocation("write", new), context), rest
        old = context.rng.randrange(self.values) if self.values else self.last_seen
        return place(Invocation("cas", [old, new]), context), rest

    def update(self, context: Context, event: Event) -> Generator:
        if event.type is not Type.OK:
            return self
        seen = event.value[1] if event.f == "cas" else event.value
        return self if seen == self.last_seen else Operations(self.values, self.next_value, seen)

    def _draw(self, context: Context) -> str:
        drawn = context.rng.random()
        for f, share in SHARES:
            drawn -= share
            if drawn < 0:
                return "write" if f == "cas" and self._cannot_compare else f
        return "write"

    @property
    def _cannot_compare(self) -> bool:
        return not self.values and self.last_seen is None


def operations(options: Options) -> Generator:
    """Groups of as many clients as there are nodes, each group on a key at a time."""
    return concurrent_keys(
        len(options.nodes),
        count(),
        lambda _: limit(OPERATIONS_PER_KEY, Operations(options.values)),
    )


def final(options: Options, keys: tuple[Key, ...]) -> Any:
    """One read of every key."""
    return generator(Invocation("read", key=key) for key in keys)


def checkers(options: Options) -> Mapping[str, Checker]:
    """Each key on its own must be a linearizable register."""
    return {"linearizable": Linearizable(CAS_REGISTER)}


REGISTER = Workload(
    description="many registers: read, write, compare-and-set; is each one linearizable?",
    operations=operations,
    final=final,
    client=RegisterClient,
    checkers=checkers,
)
