"""
Transactions as people see them: a name, what each did in words, and the versions of a key.

Only the transactions that an anomaly is about are made; the others stay columns.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.linearizability.narration import who
from dissever.harness.history import MICRO_OPERATIONS, History, Operation, Type
from dissever.harness.values import show, show_ns
from dissever.native.columns import NONE, Micro

VALIDATED_MAX: Final = 300_000
"""
Micro-operations and elements of lists, together, of a history that is checked again as a whole, by
code in Python that shares nothing with the engine.
"""

ITEMS_MAX: Final = 8
"""Of a list, as many are shown; of a longer one those around what matters."""


@dataclass(frozen=True, slots=True)
class MicroOperation:
    """
    One micro-operation; `kind` is `r`, `append` or `w`, and `cited` the index of its event and its
    position there.
    """

    kind: str
    key: Any
    value: Any
    cited: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction with the name that an explanation gives it, such as `T1`."""

    label: str
    position: int
    operation: Operation
    micro: tuple[MicroOperation, ...]

    def of(self, kind: str, key: Any) -> Iterator[tuple[int, MicroOperation]]:
        """Its micro-operations of a kind on a key, with their positions."""
        for place, each in enumerate(self.micro):
            if each.kind == kind and same(each.key, key):
                yield place, each

    def writes(self, key: Any) -> list[MicroOperation]:
        """What it appends or writes to a key, in order."""
        return [each for kind in ("append", "w") for _, each in self.of(kind, key)]

    @property
    def is_ok(self) -> bool:
        return self.operation.type is Type.OK

    def deed(self, marked: tuple[Any, tuple[Any, ...]] | None = None) -> str:
        """
        Who it was, when, what it did, and how that ended.

        Args:
            marked: A key, and elements that must be seen of the lists that it was read as.
        """
        begin, end = self.operation.invocation, self.operation.completion
        did = ", ".join(_did(each, marked) for each in self.micro) or "nothing"
        since = f"{self.label}: {who(self.operation)} at {show_ns(begin.time)}"
        if self.is_ok and end is not None:
            return f"{since}: {did}; acknowledged at {show_ns(end.time)}"
        if end is not None and self.operation.type is Type.FAIL:
            return f"{since}: {did}; answered with a failure at {show_ns(end.time)}"
        return f"{since}: {did}; nobody knows whether it was committed"


def transaction(history: History, position: int, label: str) -> Transaction:
    """The operation at a position, as a transaction."""
    operation = history.operation(position)
    is_ok = operation.type is Type.OK and operation.completion is not None
    event = operation.completion if is_ok and operation.completion else operation.invocation
    micro = tuple(
        MicroOperation(
            kind=(kind := MICRO_OPERATIONS[f]),
            key=key,
            value=value if is_ok or kind != "r" else None,
            cited=(event.index, at),
        )
        for at, (f, key, value) in enumerate(event.value)
    )
    return Transaction(label, position, operation, micro)


def external(reader: Transaction, place: int) -> list[Any]:
    """What a read of a list found that the transaction had not appended before it itself."""
    read = reader.micro[place]
    found = list(read.value or ())
    own = [each.value for at, each in reader.of("append", read.key) if at < place]
    while own and found and same(found[-1], own[-1]):
        found.pop()
        own.pop()
    return found


def versions(micro: Micro, key: int) -> list[Any]:
    """The longest list that a key was read as."""
    start, length = micro.longest[key], micro.longest_length[key]
    values = micro.columns.values
    return [] if start == NONE else [values[each] for each in micro.items[start : start + length]]


def reader_of_longest(micro: Micro, key: int) -> int | None:
    """The position of the first transaction that read all of that list."""
    start, length = micro.longest[key], micro.longest_length[key]
    if start == NONE:
        return None
    places: array[int] = array("q")
    places.frombytes(micro.list.cast("B"))
    at = places.index(start)
    while micro.length[at] != length:
        at = places.index(start, at + 1)
    return owner(micro, at)


def owner(micro: Micro, at: int) -> int:
    """The position of the transaction that a micro-operation, counted over all of them, is of."""
    return bisect_right(micro.first, at) - 1


def is_small(micro: Micro, most: int) -> bool:
    """Whether micro-operations and elements of lists together are `most` or fewer."""
    if len(micro) > most:
        return False
    return len(micro) + sum(length for length in micro.length if length > 0) <= most


def key_value(micro: Micro, key: int) -> Any:
    """A key as it stands in the history."""
    return micro.columns.values[micro.keys[key]]


def same(one: Any, other: Any) -> bool:
    """Equal by type and by value."""
    return type(one) is type(other) and bool(one == other)


def shown(value: Any, around: Sequence[Any] = ()) -> str:
    """
    A value in a sentence; a list as `[1 2 3]`, of a long one what is around some elements.

    Args:
        around: What must be seen of a long list; nothing: its end.
    """
    if not isinstance(value, list):
        return "nil" if value is None else show(value)
    texts = [json.dumps(each, ensure_ascii=False, default=str) for each in value]
    if len(value) <= ITEMS_MAX:
        return f"[{' '.join(texts)}]"
    marked = [i for i, each in enumerate(value) if any(same(each, one) for one in around)]
    start = max(0, min([*marked, len(value) - 3]) - 1) if marked else len(value) - 3
    kept = texts[start : start + ITEMS_MAX]
    before = ["…"] if start else []
    after = ["…"] if start + ITEMS_MAX < len(value) else []
    return f"[{' '.join([*before, *kept, *after])}]"


def _did(each: MicroOperation, marked: tuple[Any, tuple[Any, ...]] | None) -> str:
    if each.kind == "r":
        around = marked[1] if marked is not None and same(each.key, marked[0]) else ()
        return f"read key {shown(each.key)} as {shown(each.value, around)}"
    if each.kind == "append":
        return f"appended {shown(each.value)} to key {shown(each.key)}"
    return f"wrote {shown(each.value)} to key {shown(each.key)}"
