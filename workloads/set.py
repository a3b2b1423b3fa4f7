"""
A set that only grows: every read must hold what was acknowledged before it, and nothing else.

What the reads of a system promise is declared by the option `reads`, and the checker judges every
read by it.

Source: Jepsen, `checker.clj`, `set` and `set-full`.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol

from dissever.checkers.set import GrowOnlySet, Promise
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import each_thread, limit, mix, repeat, until_ok
from dissever.harness.history import Key
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.workloads.workload import FINAL_TRIES, Workload

READ_SHARE = 0.02
"""Reads while the run lasts: few, since each of them carries the whole set."""


class Elements(Protocol):
    """The store that this workload asks of a system. Every method may raise `NotApplied`."""

    async def add(self, element: int) -> None:
        """Add an element that was never added before."""

    async def elements(self) -> list[int]:
        """Every element, as often as it is there."""

    async def close(self) -> None:
        """Let go of connections."""


class SetClient:
    """Applies add and read to a store."""

    def __init__(self, store: Elements) -> None:
        self._store = store

    async def invoke(self, invocation: Invocation) -> Completion:
        try:
            if invocation.f == "add":
                await self._store.add(invocation.value)
                return invocation.ok(invocation.value)
            return invocation.ok(sorted(await self._store.elements()))
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])

    async def close(self) -> None:
        await self._store.close()


def operations(options: Options) -> Any:
    """Adds of 0, 1, 2, … and now and then a read."""
    adds = (Invocation("add", element) for element in count())
    return mix(adds, repeat(Invocation("read")), weights=(1 - READ_SHARE, READ_SHARE))


def final(options: Options, keys: tuple[Key, ...]) -> Any:
    """Every worker reads until it is answered, so every node is read."""
    return each_thread(until_ok(limit(FINAL_TRIES, repeat(Invocation("read")))))


def promise(options: Options) -> Promise:
    """What the reads of this run promise; runs of older versions did not say."""
    return Promise(str(options.workload_options.get("reads") or Promise.LINEARIZABLE))


WORKLOAD = Workload(
    description="a set that only grows: does every read hold what was acknowledged before it?",
    store="elements",
    operations=operations,
    final=final,
    client=SetClient,
    checkers=lambda options: {"set": GrowOnlySet(promise(options))},
    options={
        "reads": Option(
            "what reads promise: `linearizable`: all that was acknowledged before they were asked; "
            "`sequential`: that, of their own process, and never less than before; "
            "`eventual`: only the reads at the end hold everything",
            default=Promise.LINEARIZABLE.value,
            choices=tuple(Promise),
        )
    },
)
