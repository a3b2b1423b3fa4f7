"""
The axioms of weak models: whether a commit order, or a cycle, proves what it is said to prove.

It works from the recorded events alone and shares nothing with the engine. A model holds iff some
total order of the transactions contains the order of sessions and every pair (writer, reader), and:
whenever t3 reads x from t1, and t2, which also writes x, is visible to t3, t2 comes before t1. What
is visible to t3 is what it read something of before that read (read committed), what it read of or
what its session did before it (read atomic), or all that reaches it by such steps (causal).

Source: Biswas and Enea, "On the Complexity of Checking Transactional Consistency" (2019), 2.2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from dissever.checkers.transactions.recorded import Elements, Transaction, transactions
from dissever.harness.history import History, Process
from dissever.harness.results import Edge
from dissever.harness.values import freeze, show

INITIAL: Final = -1
"""The index of the transaction that wrote the initial values."""


class Axiom(Enum):
    """What is visible to a transaction."""

    READ_COMMITTED = "read committed"
    READ_ATOMIC = "read atomic"
    CAUSAL = "causal"


@dataclass(frozen=True, slots=True)
class Read:
    """A read of what others wrote: its position, its key, and the index of the writer."""

    position: int
    key: Hashable
    source: int


def refute_commit_order(
    history: History, order: Sequence[int], *, axiom: Axiom, sessions: bool, rules: str
) -> str | None:
    """
    Why an order does not prove a weak model, or None when it does.

    Args:
        order: Indices of invocations: of every ok transaction, and of each that nobody knows about
            and of which something was read.
        sessions: Whether what a process did stays in order.
        rules: `append` or `wr`.

    Cost: for causal, the square of the number of transactions in bits.
    """
    facts = _Facts(history, rules, sessions=sessions)
    flaw = facts.flaw or facts.flaw_in_members(order)
    if flaw is not None:
        return flaw
    if axiom is not Axiom.READ_COMMITTED:
        flaw = facts.flaw_in_repeats()
    place = {index: at for at, index in enumerate(order)}
    return (
        flaw
        or facts.flaw_in_steps(place)
        or (facts.flaw_in_lists(order) if rules == "append" else None)
        or facts.flaw_in_axiom(order, place, axiom)
    )


def refute_walk(
    history: History, cycle: Sequence[Edge], *, axiom: Axiom, sessions: bool, rules: str
) -> str | None:
    """
    Why a cycle does not rule a weak model out, or None when it does.

    Edges are `session`, `wr`, `ww` of lists, and `commit`. Instead of a `commit` to the initial
    values there is one `rw` edge: the last edge leads from who read the initial value to who wrote
    the key, and the others show that this write was visible.
    """
    facts = _Facts(history, rules, sessions=sessions)
    if len(cycle) < 2:
        return "a cycle has two edges or more"
    for edge, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        if edge.target != after.source:
            return f"the edge to {edge.target} is followed by one from {after.source}"
        if not {edge.source, edge.target} <= facts.counting:
            return f"{edge.source} or {edge.target} is no transaction that counts"
    if any(edge.kind == "rw" for edge in cycle):
        return facts.flaw_in_initial(cycle, axiom)
    for edge in cycle:
        if not facts.holds(edge, axiom):
            return f"nothing shows that {edge.source} comes before {edge.target} ({edge.kind})"
    return None


class _Facts:
    """What the events of a history say, whatever the order."""

    def __init__(self, history: History, rules: str, *, sessions: bool) -> None:
        self.known = transactions(history, rules=rules)
        self.rules = rules
        self.sessions = sessions
        self.flaw: str | None = None
        self.writes: dict[int, dict[Hashable, list[Hashable]]] = {}
        self.writer: dict[tuple[Hashable, Hashable], int] = {}
        for each in self.known.values():
            keys = self.writes.setdefault(each.index, {})
            for key, value in each.writes():
                keys.setdefault(key, []).append(value)
                if (key, value) in self.writer:
                    self.flaw = f"{show(value)} was written twice to key {show(key)}"
                self.writer[key, value] = each.index
        self.lists: dict[Hashable, dict[Elements, int]] = defaultdict(dict)
        self.reads = {each.index: list(self._reads(each)) for each in self.known.values()}
        seen = {each.source for reads in self.reads.values() for each in reads}
        seen |= {
            self.writer.get((key, element), INITIAL)
            for key, lists in self.lists.items()
            for element in max(lists, key=len)
        }
        self.counting = {
            each.index
            for each in self.known.values()
            if each.is_ok or (each.may_count and each.index in seen)
        }
        self.before = self._sessions() if sessions else {}

    def _reads(self, each: Transaction) -> Iterator[Read]:
        """Its reads of what others wrote; sets a flaw where a read cannot be."""
        own: dict[Hashable, list[Hashable]] = {}
        for micro in each.micros if each.is_ok else ():
            mine = own.get(micro.key, [])
            if not micro.is_read:
                own[micro.key] = [*mine, micro.value]
                continue
            found: Elements
            if self.rules == "append" and isinstance(micro.value, tuple):
                self.lists[micro.key].setdefault(micro.value, each.index)
                found = micro.value[: len(micro.value) - len(mine)]
                if found + tuple(mine) != micro.value:
                    self.flaw = f"{each.index} did not read what it had appended itself"
            elif mine:
                if micro.value != mine[-1]:
                    self.flaw = f"{each.index} did not read what it had written itself"
                continue
            else:
                found = () if micro.value is None else (micro.value,)
            source = self._source(each, micro.key, found)
            if source is not None:
                yield Read(micro.position, micro.key, source)

    def _source(self, reader: Transaction, key: Hashable, found: Elements) -> int | None:
        for value in found:
            writer = self.writer.get((key, value))
            if writer is None or writer == reader.index or not self.known[writer].may_count:
                self.flaw = f"{reader.index} read {show(value)}, which no other can have committed"
                return None
        if not found:
            return INITIAL
        source = self.writer[key, found[-1]]
        if self.writes[source][key][-1] != found[-1]:
            self.flaw = f"{reader.index} read {show(found[-1])}, which is not the last of {source}"
            return None
        return source

    def _sessions(self) -> dict[int, int]:
        """Of each transaction, the one before it in its session."""
        last: dict[Process, Transaction] = {}
        before = {}
        for each in sorted(self.known.values(), key=lambda each: each.index):
            if each.index in self.counting:
                previous = last.get(each.process)
                if previous is not None and previous.precedes(each):
                    before[each.index] = previous.index
                last[each.process] = each
        return before

    def flaw_in_members(self, order: Sequence[int]) -> str | None:
        if len(order) != len(set(order)):
            return "a transaction stands in the order twice"
        wrong = sorted(set(order) ^ self.counting)
        return f"{wrong[0]} is missing in the order, or does not count" if wrong else None

    def flaw_in_repeats(self) -> str | None:
        for index, reads in self.reads.items():
            source: dict[Hashable, int] = {}
            for each in reads:
                if source.setdefault(each.key, each.source) != each.source:
                    return f"{index} read key {show(each.key)} as two different values"
        return None

    def flaw_in_steps(self, place: Mapping[int, int]) -> str | None:
        steps = [(before, after) for after, before in self.before.items()]
        steps += [
            (read.source, index)
            for index, reads in self.reads.items()
            for read in reads
            if read.source != INITIAL
        ]
        for source, target in steps:
            if place[source] >= place[target]:
                return f"{source} must come before {target} and does not"
        return None

    def flaw_in_lists(self, order: Sequence[int]) -> str | None:
        appended: dict[Hashable, list[Hashable]] = defaultdict(list)
        for index in order:
            for key, values in self.writes[index].items():
                appended[key] += values
        for key, lists in self.lists.items():
            for each, reader in lists.items():
                if tuple(appended[key][: len(each)]) != each:
                    return f"{reader} read a list of key {show(key)} that never was in this order"
        return None

    def flaw_in_axiom(
        self, order: Sequence[int], place: Mapping[int, int], axiom: Axiom
    ) -> str | None:
        """A set of transactions is an integer here: bit i is the transaction at place i."""
        writers: dict[Hashable, int] = defaultdict(int)
        for index in order:
            for key in self.writes[index]:
                writers[key] |= 1 << place[index]
        past: dict[int, int] = {}
        for index in order:
            seen = 0
            if index in self.before and axiom is not Axiom.READ_COMMITTED:
                before = self.before[index]
                seen = past[before] | 1 << place[before]
            sessions = seen
            for read in self.reads[index]:
                if axiom is not Axiom.READ_COMMITTED:
                    break
                flaw = _flaw(read, index, seen & writers[read.key], place)
                if flaw is not None:
                    return flaw
                seen |= 0 if read.source == INITIAL else 1 << place[read.source]
            for read in self.reads[index]:
                if read.source != INITIAL:
                    seen |= 1 << place[read.source]
                    seen |= past[read.source] if axiom is Axiom.CAUSAL else 0
            for read in self.reads[index] if axiom is not Axiom.READ_COMMITTED else ():
                flaw = _flaw(read, index, seen & writers[read.key], place)
                if flaw is not None:
                    return flaw
            past[index] = seen if axiom is Axiom.CAUSAL else sessions
        return None

    def holds(self, edge: Edge, axiom: Axiom) -> bool:
        """Whether the events show an edge of a walk."""
        source, target, key = edge.source, edge.target, freeze(edge.key)
        match edge.kind:
            case "session":
                return self.sessions and self.known[source].precedes(self.known[target])
            case "wr":
                return any((r.source, r.key) == (source, key) for r in self.reads[target])
            case "ww":
                return self._is_next(source, target, key)
            case "commit":
                return key in self.writes[source] and any(
                    (read.source, read.key) == (target, key)
                    and self._is_visible(source, reader, read, axiom)
                    for reader, reads in self.reads.items()
                    for read in reads
                    if reader != source
                )
        return False

    def _is_next(self, source: int, target: int, key: Hashable) -> bool:
        longest = max(self.lists[key], key=len, default=())
        by = [self.writer.get((key, element)) for element in longest]
        if (source, target) in pairwise(by):
            return True
        return bool(by) and by[-1] == source and not set(self.writes[target][key]) <= set(longest)

    def _is_visible(self, source: int, reader: int, read: Read, axiom: Axiom) -> bool:
        if axiom is Axiom.READ_COMMITTED:
            before = (each for each in self.reads[reader] if each.position < read.position)
            return any(each.source == source for each in before)
        session = self.sessions and self.known[source].precedes(self.known[reader])
        if session or any(each.source == source for each in self.reads[reader]):
            return True
        return axiom is Axiom.CAUSAL and source in self._past(reader)

    def _past(self, index: int) -> Collection[int]:
        """All that reaches a transaction by steps of sessions and reads."""
        past: set[int] = set()
        left = [index]
        while left:
            each = left.pop()
            steps = [read.source for read in self.reads[each] if read.source != INITIAL]
            steps += [self.before[each]] if each in self.before else []
            left += [step for step in steps if step not in past]
            past.update(steps)
        return past

    def flaw_in_initial(self, cycle: Sequence[Edge], axiom: Axiom) -> str | None:
        *shown, last = cycle
        reader, writer, key = last.source, last.target, freeze(last.key)
        is_first = last.kind == "rw" and key in self.writes[writer]
        reads = [each for each in self.reads[reader] if (each.key, each.source) == (key, INITIAL)]
        if not is_first or not reads:
            return f"{reader} did not read the initial value of a key that {writer} wrote"
        for edge in shown:
            if edge.kind not in ("session", "wr") or not self.holds(edge, axiom):
                return f"nothing shows that {edge.source} is visible to {edge.target}"
        if not any(self._is_visible(writer, reader, each, axiom) for each in reads):
            return f"the write of {writer} was not visible to {reader} when it read"
        return None


def _flaw(read: Read, reader: int, seen: int, place: Mapping[int, int]) -> str | None:
    """The last writer of the key that the reader sees must be the one that it read from."""
    latest = seen.bit_length() - 1
    if latest <= (INITIAL if read.source == INITIAL else place[read.source]):
        return None
    return f"{reader} read key {show(read.key)} from {read.source}, not from a later one it sees"
