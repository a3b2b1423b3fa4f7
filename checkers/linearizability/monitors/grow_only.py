"""
Sets and logs that only grow and are read whole, each element added once: judged in linear time.

The reads show the order of the elements: their answers form a chain, of sets or of beginnings of
one log. So groups of calls stand in a forced order: the adds that the first read holds, the reads
with that answer, the adds that the next read holds as well, and so on; acknowledged adds that no
read holds come last. The history is valid if and only if no call of a later group returned before a
call of an earlier group was invoked.

Source: Gibbons and Korach (1997), as for registers in `native/registers/zones.h`.
Cost: the total size of the reads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Finding, Invalid
from dissever.checkers.linearizability.model import (
    Model,
    Transition,
    elements,
    entries,
    is_repeating,
)


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that stand together; a read that holds the elements up to here but none later."""

    calls: tuple[Call, ...]
    read: Call | None


def judge_set(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide a grow-only set; None where an element may be added twice."""
    if model.initial != frozenset():
        return None
    return _judge(calls, "add", _groups_of_set)


def judge_log(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide a log; None where an entry may be appended twice."""
    if model.initial != ():
        return None
    return _judge(calls, "append", _groups_of_log)


def judge_sequential_set(calls: Sequence[Call]) -> Finding | None:
    """
    Whether one order explains all reads of a grow-only set and keeps the order of each process.

    The order of a valid one is not given: it is empty. None where an element may be added twice.
    """
    history = _history(calls, "add")
    if history is None:
        return None
    try:
        _check_processes(_groups_of_set(history))
    except Invalid as invalid:
        return invalid.finding
    return Finding(())


class _History:
    """The adds by element, and the reads."""

    def __init__(self, adds: dict[Hashable, Call], reads: Sequence[Call]) -> None:
        self.adds = adds
        self.reads = reads

    def add(self, element: Hashable, read: Call) -> Call:
        """
        Who added an element that a read holds.

        Raises:
            Invalid: When no operation did.
        """
        if element not in self.adds:
            part = [_only(read, [element])]
            reason = "it holds an element that no operation ever asked to add"
            raise Invalid("phantom", "phantom", reason, (read,), part, [element])
        return self.adds[element]

    def last(self, used: set[Hashable]) -> Group:
        """The acknowledged elements that no read holds."""
        unread = [
            call
            for element, call in self.adds.items()
            if element not in used and not call.is_crashed
        ]
        return Group(tuple(unread), None)


def _judge(
    calls: Sequence[Call], f: str, groups_of: Callable[[_History], list[Group]]
) -> Finding | None:
    history = _history(calls, f)
    if history is None:
        return None
    try:
        groups = groups_of(history)
        _check(groups)
    except Invalid as invalid:
        return _with_adds(invalid.finding, history.adds)
    number = {call.inv: i for i, call in enumerate(calls)}
    order = (
        number[call.inv]
        for group in groups
        for call in sorted(group.calls, key=lambda each: each.inv)
    )
    return Finding(tuple(order))


def _history(calls: Sequence[Call], f: str) -> _History | None:
    """None where there is another operation, or an element may be added twice."""
    adds: dict[Hashable, Call] = {}
    reads = []
    for call in calls:
        if call.f == "read":
            reads.append(call)
        elif call.f != f or call.value_in in adds:
            return None
        else:
            adds[call.value_in] = call
    return _History(adds, reads)


def _with_adds(finding: Finding, adds: dict[Hashable, Call]) -> Finding:
    """A part with the adds of what its reads hold: a read without them would be impossible too."""
    inside = {call.inv: call for call in finding.part}
    for call in finding.part:
        for element in entries(call.value_out) if call.f == "read" else ():
            if element in adds:
                inside.setdefault(adds[element].inv, adds[element])
    return replace(finding, part=tuple(inside[inv] for inv in sorted(inside)))


def _groups_of_set(history: _History) -> list[Group]:
    """
    Raises:
        Invalid: When two reads are not one a part of the other.
    """
    answered: dict[frozenset[Hashable], list[Call]] = {}
    for read in history.reads:
        answered.setdefault(elements(read.value_out), []).append(read)
        if is_repeating(read.value_out):
            raise _twice(history, read)
    held = sorted(answered, key=len)
    for small, large in pairwise(held):
        if not small <= large:
            raise _apart(
                history, answered[small][0], answered[large][0], small - large, large - small
            )
    groups: list[Group] = []
    before: frozenset[Hashable] = frozenset()
    for state in held:
        reads = answered[state]
        news = tuple(history.add(element, reads[0]) for element in state - before)
        groups += [Group(news, reads[0]), Group(tuple(reads), reads[0])]
        before = state
    return [*groups, history.last(set(before))]


def _groups_of_log(history: _History) -> list[Group]:
    """
    Raises:
        Invalid: When a read is not the beginning of a longer one, or holds an entry twice.
    """
    answered: dict[int, list[Call]] = {}
    longest = max(history.reads, key=lambda read: len(entries(read.value_out)), default=None)
    whole = entries(longest.value_out) if longest is not None else ()
    for read in history.reads:
        found = entries(read.value_out)
        if whole[: len(found)] != found:
            assert longest is not None
            place = next(i for i, entry in enumerate(found) if entry != whole[i])
            raise _apart(history, read, longest, (found[place],), (whole[place],))
        answered.setdefault(len(found), []).append(read)
    if longest is not None and is_repeating(longest.value_out):
        raise _twice(history, longest)
    groups = [Group(tuple(answered[0]), answered[0][0])] if 0 in answered else []
    for length, entry in enumerate(whole, start=1):
        assert longest is not None
        reads = answered.get(length, [])
        groups.append(Group((history.add(entry, longest),), reads[0] if reads else None))
        if reads:
            groups.append(Group(tuple(reads), reads[0]))
    return [*groups, history.last(set(whole))]


def _twice(history: _History, read: Call) -> Invalid:
    """A read that holds an element more than once."""
    found = entries(read.value_out)
    element = next(each for i, each in enumerate(found) if each in found[:i])
    add = history.add(element, read)
    part = (add, _only(read, [element]))
    reason = "it holds an element more than once"
    return Invalid("duplicate-elements", "twice", reason, (add, read), part)


def _apart(
    history: _History,
    one: Call,
    other: Call,
    ours: Iterable[Hashable],
    theirs: Iterable[Hashable],
) -> Invalid:
    """Two reads of which neither can have come first."""
    first, second = sorted((one, other), key=lambda call: call.ret)
    some = [next(iter(ours)), next(iter(theirs))]
    adds = [history.adds[element] for element in some if element in history.adds]
    part = (*adds, _only(one, some), _only(other, some))
    reason = "each of two reads holds what the other does not: neither can have come first"
    return Invalid("incompatible-order", "incomparable", reason, (first, second), part)


def _check(groups: Sequence[Group]) -> None:
    """
    Raises:
        Invalid: When something returned before what must come earlier was invoked.
    """
    latest: tuple[Call, int] | None = None
    early: list[tuple[Call, int] | None] = []
    for at, group in enumerate(groups):
        early.append(latest)
        for call in group.calls:
            if latest is None or call.inv > latest[0].inv:
                latest = call, at
    first: Call | None = None
    for at in range(len(groups) - 1, -1, -1):
        for call in groups[at].calls:
            if first is None or call.ret < first.ret:
                first = call
        before = early[at]
        if first is not None and before is not None and first.ret < before[0].inv:
            raise _backwards(before[0], first, groups[before[1] :])


def _check_processes(groups: Sequence[Group]) -> None:
    """
    Raises:
        Invalid: When a process did something before what must come earlier.
    """
    placed = [(call, at) for at, group in enumerate(groups) for call in group.calls]
    latest: dict[object, tuple[Call, int]] = {}
    for call, at in sorted(placed, key=lambda each: each[0].inv):
        first, last = latest.setdefault(call.operation.process, (call, at))
        if at < last:
            raise _backwards(call, first, groups[at:])
        latest[call.operation.process] = call, at


def _backwards(before: Call, first: Call, groups: Sequence[Group]) -> Invalid:
    """`first` had ended when `before` began, but what was read says that it came later."""
    witness = before if before.f == "read" else None
    if witness is None:
        held = (group.read for group in groups if group.read is not None)
        witness = next(held, None)
    named = [call for call in (before, first) if call.f != "read"]
    some = [call.value_in for call in named]
    if first.f == "read" and before.f == "read":
        some = [next(iter(elements(first.value_out) - elements(before.value_out)))]
    part = [call if call.f != "read" else _only(call, some) for call in (before, first)]
    reads = [call for call in (before, first) if call.f == "read"]
    if not reads and witness is not None:
        reads = [witness]
        part.append(_only(witness, some))
    conflict = [*named, *sorted(reads, key=lambda call: call.ret)]
    if before.f == "read" and first.f == "read":
        name, reason = "stale-read", "an earlier read had held more already"
    elif first.f == "read":
        name, reason = "future-read", "it holds what was first asked to be added later"
    elif before.f == "read":
        name, reason = "stale-read", "it lacks what had been added before"
    else:
        name = "out-of-order"
        reason = "it shows an element and lacks another that had been added before it"
    strange = [before.value_in] if name == "future-read" else []
    return Invalid(name, "forced order", reason, conflict, part, strange)


def _only(read: Call, some: Sequence[Hashable]) -> Call:
    """A read as if only some elements existed: a set or a log without the others answers so."""
    kept = tuple(each for each in entries(read.value_out) if each in set(some))
    return replace(read, transition=Transition("read", None, kept))
