"""
Transactions over rows of a table, some of which select by a predicate: is a phantom ever seen?

The value of an operation `rows` is a list of micro-operations. Each is `[f, key, what, answer]`,
and the answer is null until it is known:

    ["insert", key, [id, value], true]       whether there was no such row before
    ["update", key, [id, value], [3, 8]]     the trail that it overwrote; null: no such row
    ["delete", key, id, [3, 8]]              the trail of the row that it removed; null: no such row
    ["get", key, id, [3, 8]]                 the trail of the row; null: no such row
    ["select", key, [m, r], [[id, [3, 8]]]]  id and trail of each row whose value leaves r, by m

A row belongs to a key, and no id is inserted twice. Its trail has all the values that it was given,
oldest first, and its value is the last of them. So each row that is read says what it overwrote,
and the ids that were inserted are all the rows that a select can have found or missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec

from dissever.checkers.rows import Rows as RowsChecker
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import PENDING, Answer, Context, Generator
from dissever.harness.generator.core import place
from dissever.harness.history import Event, Key
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.workloads import transactions
from dissever.workloads.transactions import Insistent, committed
from dissever.workloads.workload import Workload, chosen

ROWS: Final = "rows"

METHODS: Final = ("begin", "insert", "update", "delete", "get", "select", "commit", "rollback")

MODULI: Final = (1, 2, 2, 3)
"""What values are divided by in a select; 1 selects every row."""

WEIGHTS: Final = {"insert": 4, "update": 5, "delete": 1, "get": 3, "select": 7}
"""How often each micro-operation is drawn; deletes are few, because they hide when a row lived."""


class Rows(Protocol):
    """
    The store that this workload asks of a system: one client, one transaction at a time.

    Every method may raise `NotApplied`, which means the same as for `Transactions`.
    """

    async def begin(self) -> None:
        """Begin a transaction; after `close`, connect again."""

    async def insert(self, key: int, row: int, value: int) -> bool:
        """Insert a row with that value; False when there is such a row."""

    async def update(self, key: int, row: int, value: int) -> list[int] | None:
        """Give a row a value; the trail that it had before, None if there is no such row."""

    async def delete(self, key: int, row: int) -> list[int] | None:
        """Remove a row; the trail that it had, None if there was no such row."""

    async def get(self, key: int, row: int) -> list[int] | None:
        """The trail of a row, None if there is no such row."""

    async def select(self, key: int, modulus: int, remainder: int) -> list[tuple[int, list[int]]]:
        """Id and trail of the rows of a key with value % modulus = remainder, in any order."""

    async def commit(self) -> None:
        """Make all of it take effect at once."""

    async def rollback(self) -> None:
        """End the transaction without effect, or do nothing where none is open."""

    async def close(self) -> None:
        """Let go of connections, and with them of a transaction that is open."""


class RowsClient:
    """Carries out transactions over rows on a store."""

    def __init__(self, store: Rows) -> None:
        self._store = store

    async def invoke(self, invocation: Invocation) -> Completion:
        try:
            async with committed(self._store):
                done = [await self._done(*micro) for micro in invocation.value]
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])
        return invocation.ok(done)

    async def _done(self, f: str, key: int, what: Any, _: Any) -> list[Any]:
        arguments = what if isinstance(what, list) else (what,)
        answer = await getattr(self._store, f)(key, *arguments)
        if f == "select":
            answer = sorted([row, list(trail)] for row, trail in answer)
        elif f != "insert" and answer is not None:
            answer = list(answer)
        return [f, key, what, answer]

    async def close(self) -> None:
        await self._store.close()


class Active(msgspec.Struct, frozen=True):
    """A key that is in use: the ids of its rows so far, and how many more writes it gets."""

    key: int
    rows: tuple[int, ...]
    writes_left: int


class Drawn(msgspec.Struct, frozen=True):
    """Endless transactions over the rows of a few keys at a time. Every value is written once."""

    keys_max: int
    length_max: int
    writes_max: int
    pool: tuple[Active, ...] = ()
    next_key: int = 0
    next_row: int = 0
    next_value: int = 1

    def next(self, context: Context) -> Answer:
        if not context.free:
            return PENDING, self
        rng, here = context.rng, self
        micros: list[list[Any]] = []
        for _ in range(rng.randint(1, self.length_max)):
            micro, here = here._micro(context)
            micros.append(micro)
        return place(Invocation(ROWS, micros), context), here

    def update(self, context: Context, event: Event) -> Generator:
        return self

    def _micro(self, context: Context) -> tuple[list[Any], Drawn]:
        rng, here = context.rng, self._filled(context)
        at = rng.randrange(len(here.pool))
        active = here.pool[at]
        (f,) = rng.choices(tuple(WEIGHTS), weights=tuple(WEIGHTS.values()))
        if f == "select":
            modulus = rng.choice(MODULI)
            return [f, active.key, [modulus, rng.randrange(modulus)], None], here
        if f == "insert" or not active.rows:
            row, value = here.next_row, here.next_value
            active = Active(active.key, (*active.rows, row), active.writes_left - 1)
            here = msgspec.structs.replace(here, next_row=row + 1)
            return ["insert", active.key, [row, value], None], here._written(at, active)
        row = rng.choice(active.rows)
        if f == "get":
            return [f, active.key, row, None], here
        what = [row, here.next_value] if f == "update" else row
        active = msgspec.structs.replace(active, writes_left=active.writes_left - 1)
        return [f, active.key, what, None], here._written(at, active)

    def _filled(self, context: Context) -> Drawn:
        """With as many keys as are in use at a time, each with some writes to come."""
        here = self
        while len(here.pool) < here.keys_max:
            writes = context.rng.randint(1, here.writes_max)
            pool = (*here.pool, Active(here.next_key, (), writes))
            here = msgspec.structs.replace(here, pool=pool, next_key=here.next_key + 1)
        return here

    def _written(self, at: int, active: Active) -> Drawn:
        """After a write to the key in that place, which is left when it was the last one."""
        kept = (active,) if active.writes_left > 0 else ()
        pool = (*self.pool[:at], *kept, *self.pool[at + 1 :])
        return msgspec.structs.replace(self, pool=pool, next_value=self.next_value + 1)


def operations(options: Options) -> Drawn:
    """Endless transactions, as the options of a run say."""
    return Drawn(
        keys_max=chosen(options, OPTIONS, "key-count"),
        length_max=chosen(options, OPTIONS, "max-txn-length"),
        writes_max=chosen(options, OPTIONS, "max-writes-per-key"),
    )


def keys_of(event: Event) -> Iterator[Key]:
    """The keys of a transaction."""
    return (micro[1] for micro in event.value)


def final(options: Options, keys: tuple[Key, ...]) -> Generator:
    """A select of every row of each key; one that is not answered ok is tried again."""
    return Insistent.on((["select", key, [1, 0], None] for key in keys), f=ROWS)


OPTIONS: Final = {
    "consistency-model": transactions.OPTIONS["consistency-model"],
    "key-count": Option("how many keys are in use at the same time", 3, least=1, most=100),
    "max-txn-length": Option("most micro-operations of a transaction", 4, least=1, most=100),
    "max-writes-per-key": Option("most writes to the rows of a key", 24, least=1, most=1000),
}


WORKLOAD = Workload(
    description="transactions over rows, with selects by a predicate: is a phantom ever seen?",
    store="rows",
    methods=METHODS,
    operations=operations,
    final=final,
    keys=keys_of,
    client=RowsClient,
    checkers=lambda options: {"rows": RowsChecker(transactions.model_of(options))},
    options=OPTIONS,
)
