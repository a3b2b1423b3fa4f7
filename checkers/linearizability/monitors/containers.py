"""
Queues, bags, stacks and priority queues whose values are each put in once, judged in C.

What is valid comes with an order, what is invalid with a part that is invalid alone: the values
that break a rule, made as few as the rule allows by leaving out one after the other. To leave a
value out, with all that handles it, is sound: whatever order the whole has, the rest has too.

Cost: 1 µs an operation to make arrays of calls, then O(n) or O(n log n) in C: 0.05 to 0.2 µs each
up to 100,000 operations, and 0.1 to 0.6 for a million, which no longer fit into a cache.
Memory: 17 bytes an operation here, up to 130 there. What is invalid is judged again, in all for
`SHRINK_OPERATIONS` operations.

Source: `native/containers.h`, with the rules and their proofs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Finding, Invalid
from dissever.checkers.linearizability.model import Misfit, Model, State, priority
from dissever.checkers.linearizability.states import dense
from dissever.harness.values import freeze
from dissever.native.columns import FAIL, OK, Columns
from dissever.native.containers import (
    NEVER,
    NOTHING,
    Judged,
    Kind,
    Operations,
    Rule,
    judge_container,
    replays,
)

SHRINK_OPERATIONS: Final = 1_000_000
"""Judged to make a part smaller, all together."""

SPARSE: Final = 8
"""Positions an operation, past which they are numbered again from 0 on."""

COLUMN_OPERATIONS_MIN: Final = 1000
"""Fewer are not judged from columns, so that their order is validated in Python."""

_NONE: Final = 0
"""The id of None among the values of columns."""

SHOWN_MAX: Final = 6
"""Operations of a part that an anomaly names."""


@dataclass(frozen=True, slots=True)
class Container:
    """How a model names what it does, and what it holds at first."""

    kind: Kind
    put: str
    take: str
    initial: State


QUEUE: Final = Container(Kind.QUEUE, "enqueue", "dequeue", ())
UNORDERED_QUEUE: Final = Container(Kind.BAG, "enqueue", "dequeue", frozenset({()}))
STACK: Final = Container(Kind.STACK, "push", "pop", ())
PRIORITY_QUEUE: Final = Container(Kind.PRIORITY, "insert", "remove-max", frozenset({()}))


def judge(container: Container, calls: Sequence[Call], model: Model) -> Finding | None:
    """None where C leaves it open."""
    if model.initial != container.initial:
        return None
    operations = _of_calls(container, calls)
    if operations is None:
        return None
    judged = judge_container(container.kind, operations)
    if judged.is_valid is None:
        return None
    if judged.is_valid:
        return Finding(tuple(judged.order))
    return _invalid(container, *_smallest(container, [calls[i] for i in judged.part]))


def has_order(container: Container, columns: Columns, rows: Sequence[int], model: Model) -> bool:
    """
    Whether C found an order of some operations, and replayed it, with no object made of any.

    What is invalid, or not clearly valid, goes the long way, which explains it; so do histories
    with events of one time, which it puts in order. Cost: 1 to 2.5 µs an operation, of which C
    takes 0.1 to 0.3, where the long way takes 13.
    """
    if len(rows) < COLUMN_OPERATIONS_MIN or model.initial != container.initial:
        return False
    try:
        operations = _of_columns(container, columns, rows)
    except Misfit:
        return False
    if operations is None:
        return False
    judged = judge_container(container.kind, operations)
    return judged.is_valid is True and replays(container.kind, operations, judged.order)


def _of_columns(container: Container, columns: Columns, rows: Sequence[int]) -> Operations | None:
    """None where an operation is of another kind, or two events are of one time."""
    kept = [i for i in rows if columns.type[i] != FAIL]
    names = {name: number for number, name in enumerate(columns.fs)}
    put, take = names.get(container.put), names.get(container.take)
    f = [columns.f[i] for i in kept]
    if not {put, take}.issuperset(f):
        return None
    is_ok = [columns.type[i] == OK for i in kept]
    times = [columns.inv_time[i] for i in kept]
    times += [columns.ret_time[i] for i in compress(kept, is_ok)]
    if len(set(times)) < len(times):
        return None
    held: list[int] = []
    for i, name, is_known in zip(kept, f, is_ok, strict=True):
        held.append(
            columns.value_in[i] if name == put else columns.value_out[i] if is_known else _NONE
        )
        if held[-1] == _NONE and name == put:
            return None
    inv = array("i", [columns.inv[i] for i in kept])
    ret = array(
        "i", [columns.ret[i] if known else NEVER for i, known in zip(kept, is_ok, strict=True)]
    )
    is_take = bytes([name == take for name in f])
    return _flat(
        container, is_take, held, _NONE, inv, ret, lambda value: freeze(columns.values[value])
    )


def _of_calls(container: Container, calls: Sequence[Call]) -> Operations | None:
    """None where an operation is of another kind."""
    held: list[Hashable] = []
    for call in calls:
        transition = call.transition
        if transition.f == container.take:
            held.append(None if call.is_crashed else transition.value_out)
        elif transition.f == container.put and transition.value_in is not None:
            held.append(transition.value_in)
        else:
            return None
    is_take = bytes([call.f == container.take for call in calls])
    inv = array("i", [call.inv for call in calls])
    ret = array("i", [call.ret for call in calls])
    return _flat(container, is_take, held, None, inv, ret)


def _flat(
    container: Container,
    is_take: bytes,
    held: Sequence[Hashable],
    nothing: Hashable,
    inv: array[int],
    ret: array[int],
    item: Callable[[Any], Hashable] = lambda value: value,
) -> Operations:
    """
    The arrays that C reads.

    Args:
        held: What each operation put in or took out, or `nothing`.
        item: What was inserted, from how `held` writes it.
    """
    ids: dict[Hashable, int] = {nothing: NOTHING}
    value = array("i", [ids.setdefault(each, len(ids) - 1) for each in held])
    rank = array("i")
    if container.kind is Kind.PRIORITY:
        priorities = [priority(item(each)) for each in list(ids)[1:]]
        ranks = {each: i for i, each in enumerate(sorted(set(priorities)))}
        rank = array("i", [ranks[each] for each in priorities])
    last = max([*inv, *(each for each in ret if each != NEVER)], default=-1)
    if last >= SPARSE * len(inv):
        inv, ret = dense(inv, ret)
        last = 2 * len(inv)
    return Operations(is_take, value, inv, ret, rank, len(ids) - 1, last + 1)


def _smallest(container: Container, part: Sequence[Call]) -> tuple[Judged, list[Call]]:
    """Leave out values, in halves and then alone, while what remains is invalid."""
    best, kept = _again(container, part)
    values = list(
        dict.fromkeys(_value(call) for call in kept if not _may_take_any(call, container))
    )
    size, left = len(values) // 2, SHRINK_OPERATIONS
    while size >= 1 and left > 0:
        for start in range(0, len(values), size):
            out = set(values[start : start + size])
            rest = [c for c in kept if _may_take_any(c, container) or _value(c) not in out]
            if len(rest) in (0, len(kept)) or left <= 0:
                continue
            left -= len(rest)
            judged, some = _again(container, rest)
            if judged.is_valid is False:
                best, kept = judged, some
        inside = {_value(call) for call in kept}
        values = [value for value in values if value in inside]
        size = min(size, len(values) + 1) // 2
    return best, kept


def _again(container: Container, calls: Sequence[Call]) -> tuple[Judged, list[Call]]:
    """What comes of some calls; and, where they are invalid, those that C says it takes."""
    operations = _of_calls(container, calls)
    assert operations is not None
    judged = judge_container(container.kind, operations)
    return judged, [calls[i] for i in judged.part]


def _value(call: Call) -> Hashable:
    """What it handles; a take that found nothing handles itself."""
    if call.value_in is not None:
        return call.value_in
    return (call.inv, call.ret) if call.value_out is None else call.value_out


def _may_take_any(call: Call, container: Container) -> bool:
    return call.f == container.take and call.is_crashed


def _invalid(container: Container, judged: Judged, part: Sequence[Call]) -> Finding:
    last = part[-1]
    before = sorted(part[:-1], key=lambda call: call.inv)
    name, rule, reason = _WORDS[judged.rule](container, [*before, last])
    shown = before if len(before) < SHOWN_MAX else [*before[:2], *before[3 - SHOWN_MAX :]]
    strange = [_value(last)] if judged.rule in (Rule.FRESH, Rule.FUTURE) else []
    return Invalid(name, rule, reason, [*shown, last], part, strange).finding


Words = tuple[str, str, str]
"""The name of the anomaly, the rule by its name in the literature, and a sentence on why."""


def _out_of_line(container: Container, part: Sequence[Call]) -> Words:
    before = [call for call in part if _value(call) != _value(part[-1])]
    if any(_may_take_any(call, container) for call in before):
        when = _TOO_FEW
    else:
        taken = any(call.f == container.take for call in before)
        when = "was taken only later" if taken else "was never taken"
    return "out-of-order", "VOrd", f"another value had been put in before it and {when}"


def _not_empty(container: Container, part: Sequence[Call]) -> Words:
    values = {_value(call) for call in part[:-1] if call.f == container.put}
    names = "a value was" if len(values) == 1 else f"one of {len(values)} values was always"
    is_open = any(_may_take_any(call, container) for call in part)
    when = _TOO_FEW if is_open else "taken later or never"
    rule = "no free instant" if container.kind is Kind.PRIORITY else "VWit"
    reason = f"{names} surely there, put in before and {when}"
    return "false-empty", rule, reason


def _no_bottom(container: Container, part: Sequence[Call]) -> Words:
    n = len({_value(call) for call in part if call.f == container.put})
    reason = (
        f"of the {n} values that were surely in then, without a gap, none was put in before all "
        f"others and taken after them"
    )
    return "out-of-order", "no bottom", reason


def _too_late(container: Container, part: Sequence[Call]) -> Words:
    name = "false-empty" if part[-1].value_out is None else "out-of-order"
    spare = sum(_may_take_any(call, container) for call in part)
    n = f"only {spare}" if spare else "none"
    reason = (
        f"more than that had to be gone by then, and of the operations that may have taken it, "
        f"which crashed, {n} had been asked"
    )
    return name, "deadlines", reason


_TOO_FEW: Final = "crashed operations were too few, or asked too late, to have taken it"

_WORDS: Final[dict[Rule, Callable[[Container, Sequence[Call]], Words]]] = {
    Rule.FRESH: lambda *_: ("phantom", "VFresh", "no operation ever asked to put that value in"),
    Rule.FUTURE: lambda *_: (
        "future-read",
        "VFresh",
        "that value was first asked to be put in later",
    ),
    Rule.AGAIN: lambda *_: (
        "duplicate-delivery",
        "VRepet",
        "that value had been put in once and was taken already",
    ),
    Rule.ORDER: _out_of_line,
    Rule.EMPTY: _not_empty,
    Rule.BOTTOM: _no_bottom,
    Rule.COVERED: lambda *_: (
        "out-of-order",
        "covered",
        "a value of a greater priority was surely there all that time",
    ),
    Rule.MATCH: _too_late,
}
