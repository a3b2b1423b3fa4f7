"""
Transactions: what workloads of them ask of a system, how one is carried out, and which are drawn.

The value of an operation `txn` is a list of micro-operations, in the order in which the transaction
makes them: `["r", key, null]`, `["append", key, value]`, `["w", key, value]`. The value of an ok
completion has what was read in the place of null. A read that is asked with a value expects that
value: a transaction that finds another one is rolled back.

Source: Jepsen, `tests/cycle/append.clj`, `tests/cycle/wr.clj`; Elle, `txn.clj`, `wr-txns`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from dissever.harness.bugs import is_bug
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import PENDING, Answer, Context, Generator
from dissever.harness.generator.core import place
from dissever.harness.history import TXN, Event, Key, Type
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.values import quoted
from dissever.workloads.workload import FINAL_TRIES, chosen

__all__ = [
    "APPEND",
    "MISMATCH",
    "OPTIONS",
    "READ",
    "STORE",
    "TXN",
    "WRITE",
    "Drawn",
    "Reading",
    "TransactionClient",
    "Transactions",
    "WholeTransactions",
    "committed",
    "final",
    "keys_of",
    "misfit",
    "model_of",
    "operations",
]

STORE: Final = "transactions"

READ, APPEND, WRITE = "r", "append", "w"

MISMATCH: Final = "mismatch"
"""The code of the error when a read found another value than the one that was expected."""

Micro: TypeAlias = list[Any]
"""One micro-operation: what it does, its key, and its value."""

READS_PER_TRANSACTION: Final = 8
"""Of those at the end, which read every key."""


class Transactions(Protocol):
    """
    The store that workloads of transactions ask of a system: one client, one transaction at a time.

    Every method may raise `NotApplied`: the transaction as a whole did not take effect and never
    will. It is rolled back then, whatever the store did of that itself. Whatever else a method
    raises leaves the outcome open, and the client is closed.
    """

    async def begin(self) -> None:
        """Begin a transaction; after `close`, connect again."""

    async def read(self, key: int) -> int | None:
        """The value of a register, None if it was never written."""

    async def write(self, key: int, value: int) -> None:
        """Set a register."""

    async def read_list(self, key: int) -> list[int]:
        """All of a list, in the order in which values were appended; empty if none was."""

    async def append(self, key: int, value: int) -> None:
        """Append a value to a list."""

    async def commit(self) -> None:
        """Make all of it take effect at once."""

    async def rollback(self) -> None:
        """End the transaction without effect, or do nothing where none is open."""

    async def close(self) -> None:
        """Let go of connections, and with them of a transaction that is open."""


class WholeTransactions(Protocol):
    """What a store may be instead: one that takes a transaction as a whole."""

    async def transaction(self, operations: list[Micro]) -> list[Micro]:
        """
        Carry out the micro-operations in their order, in one transaction.

        Returns:
            The same, with what was read as the value of each `r`.

        Raises:
            NotApplied: When it did not take effect and never will.
        """

    async def close(self) -> None:
        """Let go of connections."""


class Reading(Enum):
    """What the reads of a workload read."""

    LISTS = "lists"
    REGISTERS = "registers"


class TransactionClient:
    """Carries out transactions on a store."""

    def __init__(self, store: Any, reading: Reading) -> None:
        """`store`: one of `Transactions`, or of `WholeTransactions`."""
        self.store = store
        self.reading = reading
        self.is_whole = getattr(store, "begin", None) is None
        self._methods: Mapping[str, Any] = {}
        if not self.is_whole and reading is Reading.LISTS:
            self._methods = {READ: store.read_list, APPEND: store.append}
        elif not self.is_whole:
            self._methods = {READ: store.read, WRITE: store.write}

    async def invoke(self, invocation: Invocation) -> Completion:
        operations = invocation.value
        try:
            if not self.is_whole:
                return invocation.ok(await self._step_by_step(operations))
            answers = await self.store.transaction([list(each) for each in operations])
            if wrong := misfit(operations, answers, self.reading):
                raise TypeError(f"transaction: {wrong}")
            return invocation.ok([list(each) for each in answers])
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])

    async def _step_by_step(self, operations: Sequence[Micro]) -> list[Micro]:
        async with committed(self.store):
            return [[f, key, await self._do(f, key, value)] for f, key, value in operations]

    async def _do(self, f: str, key: Key, value: Any) -> Any:
        if f != READ:
            await self._methods[f](key, value)
            return value
        answer = await self._methods[f](key)
        if value is not None and answer != value:
            raise NotApplied(f"expected {value} in {key}, found {answer}", MISMATCH)
        return answer

    async def close(self) -> None:
        await self.store.close()


def misfit(operations: Sequence[Micro], answers: Any, reading: Reading | None = None) -> str | None:
    """
    Why these cannot be the answers to a transaction, or None where they can.

    They are the same micro-operations, with what was read as the value of each `r`.

    Args:
        reading: What is read; None: lists where the transaction appends, else either.
    """
    if not isinstance(answers, list | tuple) or len(answers) != len(operations):
        return f"expected {len(operations)} micro-operations, got {quoted(answers)}"
    if reading is None and any(f == APPEND for f, _, _ in operations):
        reading = Reading.LISTS
    for asked, answer in zip(operations, answers, strict=True):
        f, key, value = asked
        if not isinstance(answer, list | tuple) or len(answer) != 3:
            return f"expected {quoted(asked)} with what was read, got {quoted(answer)}"
        if list(answer[:2]) != [f, key] or (f != READ and answer[2] != value):
            return f"expected {quoted(asked)} again, got {quoted(answer)}"
        if f == READ and not _is_readable(answer[2], reading):
            got = quoted(answer[2])
            return f"expected {_READABLE[reading]} as what {key} was read as, got {got}"
    return None


_READABLE: Final[Mapping[Reading | None, str]] = {
    Reading.LISTS: "a list of whole numbers",
    Reading.REGISTERS: "a whole number, or nothing,",
    None: "a whole number, nothing, or a list of whole numbers",
}


def _is_readable(value: Any, reading: Reading | None) -> bool:
    is_list = isinstance(value, list) and all(type(each) is int for each in value)
    is_register = value is None or type(value) is int
    return (is_list and reading is not Reading.REGISTERS) or (
        is_register and reading is not Reading.LISTS
    )


@asynccontextmanager
async def committed(store: Any) -> AsyncIterator[None]:
    """
    Begin a transaction, and commit what the body does in it.

    Args:
        store: Any that has `begin`, `commit` and `rollback`, such as `Transactions`.

    Raises:
        NotApplied: From the store or the body, once the transaction is rolled back.
        Exception: Whatever else either raises. Nothing is said to the store after it.
    """
    try:
        await store.begin()
        yield
        await store.commit()
    except NotApplied:
        await _roll_back(store)
        raise


async def _roll_back(store: Any) -> None:
    """End a transaction of which it is known that it has no effect; close where that fails."""
    try:
        await store.rollback()
    except Exception as error:  # The outcome is known; only the connection is in doubt.
        if is_bug(error):
            raise
        await store.close()


# What is drawn.


class KeyDistribution(Enum):
    """How often each of the keys of a time is used, the first most of all."""

    ZIPF = "zipf"
    EXPONENTIAL = "exponential"
    UNIFORM = "uniform"


class Active(msgspec.Struct, frozen=True):
    """A key that is in use: the next value that is written to it, and the last one."""

    key: int
    next_value: int
    last_value: int


class Drawn(msgspec.Struct, frozen=True):
    """
    Endless transactions over a few keys at a time.

    Half of the micro-operations that are drawn read. Each value that is written is unique to its
    key. A key is left after a number of writes that is drawn when it is first used, and a fresh one
    takes its place. Were that number the same for all keys, bugs that show early or late in the
    life of a key could hide.

    `is_blind`: whether a key may be written by a transaction that has neither read nor written it
    before. Otherwise a read is put before such a write.
    """

    write: str
    length_min: int
    length_max: int
    writes_max: int
    weights: tuple[float, ...]
    is_blind: bool = True
    pool: tuple[Active, ...] = ()
    next_key: int = 0

    def next(self, context: Context) -> Answer:
        if not context.free:
            return PENDING, self
        rng, here = context.rng, self._filled(context.rng)
        operations: list[Micro] = []
        for _ in range(rng.randint(here.length_min, here.length_max)):
            (at,) = rng.choices(range(len(here.pool)), cum_weights=here.weights)
            active = here.pool[at]
            if rng.random() < 0.5:
                operations.append([READ, active.key, None])
                continue
            if not here.is_blind and all(key != active.key for _, key, _ in operations):
                operations.append([READ, active.key, None])
            operations.append([here.write, active.key, active.next_value])
            here = here._written(at, rng)
        return place(Invocation(TXN, operations), context), here

    def update(self, context: Context, event: Event) -> Generator:
        return self

    def _filled(self, rng: Random) -> Drawn:
        """With as many keys as it has weights."""
        if self.pool:
            return self
        pool = tuple(self._fresh(key, rng) for key in range(len(self.weights)))
        return msgspec.structs.replace(self, pool=pool, next_key=len(pool))

    def _written(self, at: int, rng: Random) -> Drawn:
        """After one more write to the key in that place."""
        active, next_key = self.pool[at], self.next_key
        if active.next_value < active.last_value:
            later = Active(active.key, active.next_value + 1, active.last_value)
        else:
            later, next_key = self._fresh(next_key, rng), next_key + 1
        pool = (*self.pool[:at], later, *self.pool[at + 1 :])
        return msgspec.structs.replace(self, pool=pool, next_key=next_key)

    def _fresh(self, key: int, rng: Random) -> Active:
        lives = _cumulative_zipf(self.writes_max)
        (writes,) = rng.choices(range(1, self.writes_max + 1), cum_weights=lives)
        return Active(key, 1, writes)


@cache
def _cumulative_zipf(count: int) -> tuple[float, ...]:
    """Cumulative weights of 1 to `count`: each number is as likely as its inverse."""
    return tuple(accumulate(1 / number for number in range(1, count + 1)))


def _weights(distribution: KeyDistribution, count: int) -> tuple[float, ...]:
    """Cumulative weights of the keys that are in use at the same time."""
    if distribution is KeyDistribution.ZIPF:
        return _cumulative_zipf(count)
    ratio = 0.5 if distribution is KeyDistribution.EXPONENTIAL else 1.0
    return tuple(accumulate(ratio**number for number in range(count)))


OPTIONS: Final[Mapping[str, Option]] = {
    "consistency-model": Option(
        "what the system promises: a consistency model, such as `strict-serializable`,"
        " `snapshot-isolation` or `read-committed`",
        default="serializable",
    ),
    "key-count": Option("how many keys are in use at the same time", 10, least=1, most=1000),
    "key-dist": Option(
        "how often each of them is used: `zipf`: the second half as often as the first, the third"
        " a third as often, …; `exponential`: each half as often as the one before it; `uniform`",
        default=KeyDistribution.ZIPF.value,
        choices=tuple(each.value for each in KeyDistribution),
    ),
    "min-txn-length": Option("fewest micro-operations of a transaction", 1, least=1, most=100),
    "max-txn-length": Option("most micro-operations of a transaction", 4, least=1, most=100),
    "max-writes-per-key": Option(
        "a key is left after a number of writes from 1 to this; fewer are likelier (Zipf)",
        256,
        least=1,
        most=10_000,
    ),
}
"""Of the workloads `append` and `wr`."""


def model_of(options: Options) -> str:
    """The consistency model that a run is judged by."""
    return str(chosen(options, OPTIONS, "consistency-model"))


def operations(options: Options, write: str, *, is_blind: bool = True) -> Drawn:
    """
    Endless transactions as the options of a run say.

    Args:
        write: How its transactions write: `append` or `w`.
        is_blind: Whether a transaction may write a key that it has not read.

    Raises:
        ValueError: When the shortest transaction is longer than the longest.
    """
    least = chosen(options, OPTIONS, "min-txn-length")
    most = chosen(options, OPTIONS, "max-txn-length")
    if least > most:
        raise ValueError(f"expected min-txn-length of at most {most} (max-txn-length), got {least}")
    distribution = KeyDistribution(chosen(options, OPTIONS, "key-dist"))
    weights = _weights(distribution, chosen(options, OPTIONS, "key-count"))
    writes_max = chosen(options, OPTIONS, "max-writes-per-key")
    return Drawn(write, least, most, writes_max, weights, is_blind)


def keys_of(event: Event) -> Iterator[Key]:
    """The keys of a transaction."""
    return (key for _, key, _ in event.value)


def final(options: Options, keys: tuple[Key, ...]) -> Generator:
    """Transactions that together read every key; one that is not answered ok is tried again."""
    return Insistent.on([READ, key, None] for key in keys)


class Insistent(msgspec.Struct, frozen=True):
    """Each operation until it is ok, at most FINAL_TRIES times; all who are free take part."""

    waiting: tuple[tuple[list[Micro], int], ...]
    open: Mapping[int | str, tuple[list[Micro], int]] = {}
    f: str = TXN

    @staticmethod
    def on(reads: Iterable[Micro], f: str = TXN) -> Insistent:
        """All of these reads, as transactions that are operations `f`."""
        every, size = list(reads), READS_PER_TRANSACTION
        starts = range(0, len(every), size)
        chunks = ((every[start : start + size], FINAL_TRIES) for start in starts)
        return Insistent(tuple(chunks), f=f)

    def next(self, context: Context) -> Answer:
        if not self.waiting:
            return (PENDING, self) if self.open else None
        (operations, tries), *rest = self.waiting
        step = place(Invocation(self.f, operations), context)
        if step is PENDING:
            return PENDING, self
        now_open = {**self.open, step.process: (operations, tries - 1)}
        return step, Insistent(tuple(rest), now_open, self.f)

    def update(self, context: Context, event: Event) -> Generator:
        if event.type is Type.INVOKE or event.process not in self.open:
            return self
        operations, tries = self.open[event.process]
        still = {process: each for process, each in self.open.items() if process != event.process}
        is_over = event.type is Type.OK or not tries
        waiting = self.waiting if is_over else (*self.waiting, (operations, tries))
        return Insistent(waiting, still, self.f)
