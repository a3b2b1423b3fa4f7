"""
Many registers, each read, written, and compared-and-set by a group of clients: is each
linearizable?

By default every written value is unique to its key, and a compare-and-set expects the value that
was seen last: the check is then easy, and an anomaly names the write it comes from. With the option
`values`, values are drawn from 0 to `values` - 1 instead, as in Jepsen's workload.

Source: Jepsen, `tests/linearizable_register.clj`.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol

import msgspec

from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.models import CAS_REGISTER
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import (
    Answer,
    Context,
    Generator,
    concurrent_keys,
    generator,
    limit,
    repeat,
    reserve,
)
from dissever.harness.generator.core import place
from dissever.harness.history import Event, Key, Type
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.workloads.workload import Workload

OPERATIONS_PER_KEY = 500
"""A key is left after this many operations, so that checks stay small and keys get their turn."""

CAS_SHARE = 0.4
"""Of the operations of those clients that do not only read."""


class Registers(Protocol):
    """The store that this workload asks of a system. Every method may raise `NotApplied`."""

    async def read(self, key: int) -> int | None:
        """The value, None if it was never written."""

    async def write(self, key: int, value: int) -> None:
        """Set the value."""

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        """Set the value if it is the old one; whether it was."""

    async def close(self) -> None:
        """Let go of connections."""


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


class Changes(msgspec.Struct, frozen=True):
    """Writes and compare-and-sets of one key; endless."""

    values: int
    next_value: int = 1
    last_seen: int | None = None

    def next(self, context: Context) -> Answer:
        new = context.rng.randrange(self.values) if self.values else self.next_value
        rest = Changes(self.values, self.next_value + 1, self.last_seen)
        may_compare = self.values or self.last_seen is not None
        if may_compare and context.rng.random() < CAS_SHARE:
            old = context.rng.randrange(self.values) if self.values else self.last_seen
            return place(Invocation("cas", [old, new]), context), rest
        return place(Invocation("write", new), context), rest

    def update(self, context: Context, event: Event) -> Generator:
        if event.type is not Type.OK:
            return self
        seen = event.value[1] if event.f == "cas" else event.value
        return self if seen == self.last_seen else Changes(self.values, self.next_value, seen)


def operations(options: Options) -> Generator:
    """
    Groups of two clients for each node, each group on a key at a time: one reads, one changes.

    A client that only reads is not held up by a change that waits, so it sees a node that answers
    reads which it should refuse.
    """
    readers = len(options.nodes)
    values = int(options.workload_options.get("values") or 0)
    reads = repeat(Invocation("read"))
    return concurrent_keys(
        2 * readers,
        count(),
        lambda _: limit(OPERATIONS_PER_KEY, reserve(readers, reads, Changes(values))),
    )


def final(options: Options, keys: tuple[Key, ...]) -> Any:
    """One read of every key."""
    return generator(Invocation("read", key=key) for key in keys)


WORKLOAD = Workload(
    description="many registers: read, write, compare-and-set; is each one linearizable?",
    store="registers",
    operations=operations,
    final=final,
    client=RegisterClient,
    checkers=lambda _: {"linearizable": Linearizable(CAS_REGISTER)},  # Each key on its own.
    options={
        "values": Option(
            "how many different values are written; 0: every value is unique, and checks are fast",
            default=0,
            least=0,
            most=1000,
        )
    },
)
