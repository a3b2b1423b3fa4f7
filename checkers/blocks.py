"""
Registers whose values are each set once: linearizability in O(n log n), whatever crashed.

A value never returns once overwritten, so the operations on one value, and those on the values
that compare-and-sets made of it, stand together in every linearization: a block. Inside a block the
order is forced. Block i comes before block j if some operation of i returns before some of j is
invoked; valid if and only if no two blocks must each come before the other.

Sources: Gibbons and Korach, "Testing shared memories" (1997), for unique writes; zones as in Golab,
Li and Shah (2011); chains of compare-and-sets and crashed operations are ours, with this argument.
A shortest cycle among blocks has length 2: otherwise L1 < H2 <= L3 < H4 <= … comes back to itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dissever.checkers.calls import Call
from dissever.checkers.stale import wanted, written


@dataclass(frozen=True, slots=True)
class Finding:
    """
    An order (positions in the calls) when valid; else a reason, and the calls that prove it.

    `part` holds the blocks of the conflict whole, where they alone are invalid: a block can be
    taken out of a linearization, since the one after it begins with a write.
    """

    order: tuple[int, ...] | None
    reason: str = ""
    conflict: tuple[Call, ...] = ()
    part: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Groups of calls in forced order; `least_ret` and `greatest_inv` over all of them."""

    groups: tuple[tuple[Call, ...], ...]
    least_ret: int
    greatest_inv: int

    @property
    def is_forward(self) -> bool:
        """Whether it must hold the register from its least return to its greatest invocation."""
        return self.least_ret < self.greatest_inv


class Invalid(Exception):
    """No linearization exists."""

    def __init__(self, reason: str, *calls: Call, blocks: Sequence[Block] = ()) -> None:
        super().__init__(reason)
        every = [call for block in blocks for group in block.groups for call in group]
        part = tuple(sorted(every, key=lambda call: call.inv))
        self.finding = Finding(None, reason, calls, part)


def judge(calls: Sequence[Call], initial: Hashable) -> Finding | None:
    """
    Decide; None where some value may be set twice, so that this does not apply.

    Args:
        calls: Of one register: `read`, `write` and `cas`, crashed reads dropped.
    """
    producers: dict[Hashable, Call] = {}
    for call in calls:
        value = written(call.f, call.value_in)
        if value is None:
            if call.f != "read":
                return None
            continue
        if value[0] in producers or value[0] == initial or wanted(call) == value:
            return None
        producers[value[0]] = call
    try:
        blocks = _blocks(calls, producers, initial)
        for block in blocks:
            _check_inside(block)
        _check_zones(blocks)
        return Finding(_order(calls, blocks))
    except Invalid as invalid:
        return invalid.finding


def _blocks(
    calls: Sequence[Call], producers: dict[Hashable, Call], initial: Hashable
) -> list[Block]:
    """Follow the chains of compare-and-sets from each write, and from the initial value."""
    needed = _needed(calls, producers, initial)
    reads: dict[Hashable, list[Call]] = {}
    consumer: dict[Hashable, Call] = {}
    for call in calls:
        seen = wanted(call)
        if seen is None:
            continue
        if call.f == "read":
            reads.setdefault(seen[0], []).append(call)
        elif written(call.f, call.value_in) in needed:
            if seen[0] in consumer:
                raise Invalid("two operations both replaced it", consumer[seen[0]], call)
            consumer[seen[0]] = call
    roots: list[tuple[Hashable, tuple[Call, ...]]] = [(initial, ())]
    roots += [
        (value, (call,))
        for value, call in producers.items()
        if call.f == "write" and (value,) in needed
    ]
    blocks, reached = [], 0
    for value, first in roots:
        groups = [first, tuple(reads.get(value, ()))]
        while value in consumer:
            call = consumer[value]
            reached += 1
            value = _after(call)
            groups += [(call,), tuple(reads.get(value, ()))]
        blocks.append(_block(groups, has_initial=not first))
    if reached < len(consumer):
        raise Invalid("each of them needs another to come first", *consumer.values())
    return blocks


def _after(call: Call) -> Hashable:
    value = written(call.f, call.value_in)
    assert value is not None
    return value[0]


def _needed(
    calls: Sequence[Call], producers: dict[Hashable, Call], initial: Hashable
) -> set[tuple[Hashable]]:
    """Values that were surely there: read, or set by an acknowledged call, and their sources."""
    needed: set[tuple[Hashable]] = set()
    waiting: list[tuple[tuple[Hashable], Call]] = []
    for call in calls:
        value = wanted(call) if call.f == "read" else written(call.f, call.value_in)
        if value is not None and not call.is_crashed:
            waiting.append((value, call))
    while waiting:
        value, why = waiting.pop()
        if value in needed or value == (initial,):
            continue
        producer = producers.get(value[0])
        if producer is None:
            raise Invalid("nobody ever asked to write that value", why)
        needed.add(value)
        source = wanted(producer)
        if source is not None:
            waiting.append((source, producer))
    return needed


def _block(groups: Sequence[tuple[Call, ...]], *, has_initial: bool) -> Block:
    every = [call for group in groups for call in group]
    start = [-1] if has_initial else []
    return Block(
        tuple(filter(None, groups)),
        min([*start, *(call.ret for call in every)]),
        max([*start, *(call.inv for call in every)]),
    )


def _check_inside(block: Block) -> None:
    """Nothing may return before something that must come earlier was invoked."""
    latest: Call | None = None
    early: list[Call | None] = []
    for group in block.groups:
        early.append(latest)
        latest = max((*group, latest) if latest else group, key=lambda call: call.inv)
    first: Call | None = None
    for group, before in zip(reversed(block.groups), reversed(early), strict=True):
        first = min((*group, first) if first else group, key=lambda call: call.ret)
        if before is not None and first.ret < before.inv:
            raise Invalid(
                "it had ended before the other, which must come first, began",
                before,
                first,
                blocks=(block,),
            )


def _check_zones(blocks: Sequence[Block]) -> None:
    """No two blocks may each have to come before the other."""
    forward = sorted((b for b in blocks if b.is_forward), key=lambda block: block.least_ret)
    for one, other in pairwise(forward):
        if other.least_ret < one.greatest_inv:
            raise _contradiction(one, other)
    starts = [block.least_ret for block in forward]
    for block in blocks:
        place = bisect_left(starts, block.greatest_inv) - 1
        if block.is_forward or place < 0:
            continue
        if block.least_ret < forward[place].greatest_inv:
            raise _contradiction(forward[place], block)


def _contradiction(one: Block, other: Block) -> Invalid:
    calls: dict[int, Call] = {}
    for block in (one, other):
        every = [call for group in block.groups for call in group]
        for call in (every[0], min(every, key=lambda c: c.ret), max(every, key=lambda c: c.inv)):
            calls[call.inv] = call
    reason = "each of the two values would have to come before the other"
    return Invalid(reason, *(calls[inv] for inv in sorted(calls)), blocks=(one, other))


def _order(calls: Sequence[Call], blocks: Sequence[Block]) -> tuple[int, ...]:
    """Forward blocks by least return, backward ones by greatest invocation."""
    number = {call.inv: i for i, call in enumerate(calls)}
    return tuple(
        number[call.inv]
        for block in sorted(blocks, key=lambda block: min(block.least_ret, block.greatest_inv))
        for group in block.groups
        for call in sorted(group, key=lambda each: each.inv)
    )
