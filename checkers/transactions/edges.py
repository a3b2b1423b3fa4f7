"""
Whether an edge between two transactions follows from what they wrote and read.

Of registers the order of versions may have to be inferred. It is inferred from what one transaction
read and wrote first, and else from the order of transactions that the cycle and what it cites show;
for a cycle with at most one `rw`, from ways with at most one `rw`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import Final

from dissever.checkers.transactions.recorded import (
    Transaction,
    external_lists,
    external_values,
)
from dissever.checkers.transactions.versions import Lists, Reach, Registers, saturate
from dissever.harness.results import Edge
from dissever.harness.values import freeze

TRANSACTIONS_MAX: Final = 200
"""How many are asked at most for an order of versions that no transaction shows by itself."""

APART: Final = -1
"""A limit on the rw of a way: any number, but no two that follow one another."""


class Edges:
    """All transactions of a history, and what edges they give."""

    def __init__(self, known: Mapping[int, Transaction], *, rules: str) -> None:
        self._known = known
        self._is_append = rules == "append"

    def refute(self, edge: Edge, cycle: Sequence[Edge]) -> str | None:
        """Why an edge of the cycle does not hold, or None when it does."""
        source, target = self._known.get(edge.source), self._known.get(edge.target)
        if source is None or target is None:
            return f"the edge from event {edge.source} to {edge.target} joins no transactions"
        if source is target or not (source.may_count and target.may_count):
            return f"no edge can lead from event {edge.source} to {edge.target}"
        if self._holds(edge, source, target, cycle):
            return self._flaw_in_citations(edge)
        return (
            f"the {edge.kind} edge from event {edge.source} to {edge.target} does not follow from "
            "what they did"
        )

    def _holds(
        self, edge: Edge, source: Transaction, target: Transaction, cycle: Sequence[Edge]
    ) -> bool:
        if edge.kind == "process":
            return source.precedes(target)
        if edge.kind == "realtime":
            return source.is_before(target)
        key = freeze(edge.key)
        if edge.kind == "wr":
            return self._is_read_from(key, source, target)
        if edge.kind not in {"ww", "rw"}:
            return False
        if self._is_append:
            return self._follows(edge.kind, key, source, target)
        if self._is_overwritten(self._registers, edge.kind, key, source, target):
            return True
        forced = self._forced(cycle)
        return self._is_overwritten(forced, edge.kind, key, source, target)

    def _is_read_from(self, key: Hashable, source: Transaction, target: Transaction) -> bool:
        written = set(source.writes())
        if self._is_append:
            return any(
                k == key and elements[-1:] and (k, elements[-1]) in written
                for k, elements in external_lists(target)
            )
        return any(k == key and (k, value) in written for k, value in external_values(target))

    def _follows(self, kind: str, key: Hashable, source: Transaction, target: Transaction) -> bool:
        """Whether the target appended what comes next after what the source appended or read."""
        appended = [value for k, value in target.writes() if k == key]
        if kind == "ww":
            before = [value for k, value in source.writes() if k == key]
            return any(
                self._lists.follows(key, first, second) for first in before for second in appended
            )
        read = [elements for k, elements in external_lists(source) if k == key]
        return any(
            self._lists.follows_list(key, elements, second)
            for elements in read
            for second in appended
        )

    def _is_overwritten(
        self,
        registers: Registers,
        kind: str,
        key: Hashable,
        source: Transaction,
        target: Transaction,
    ) -> bool:
        held = source.writes() if kind == "ww" else external_values(source)
        before = [value for k, value in held if k == key]
        written = [value for k, value in target.writes() if k == key]
        return any(
            registers.is_before(key, first, second) for first in before for second in written
        )

    @cached_property
    def _lists(self) -> Lists:
        return Lists(self._known.values())

    @cached_property
    def _registers(self) -> Registers:
        return Registers(self._known.values())

    def _forced(self, cycle: Sequence[Edge]) -> Registers:
        """The versions that the transactions of a cycle, and what it cites, put in order."""
        cited = {index for edge in cycle for index, _ in edge.cited}
        cited |= {edge.source for edge in cycle}
        some = [each for each in self._known.values() if {each.index, each.done} & cited]
        if len(self._known) <= TRANSACTIONS_MAX:
            some = list(self._known.values())
        if len(some) > TRANSACTIONS_MAX:
            return self._registers
        kinds = [edge.kind for edge in cycle]
        return saturate(Registers(some), lambda known: self._reaches(known, kinds))

    def _reaches(self, registers: Registers, kinds: Sequence[str]) -> dict[int, Reach]:
        """What each transaction comes before, by ways that the cycle may take as well."""
        steps = self._steps(registers, kinds)
        around = zip(kinds, [*kinds[1:], kinds[0]], strict=True)
        limit = min(kinds.count("rw"), 2) if ("rw", "rw") in around or kinds.count("rw") < 2 else -1
        return {index: _reach(index, steps, limit) for index in steps}

    def _steps(
        self, registers: Registers, kinds: Sequence[str]
    ) -> dict[int, list[tuple[int, bool]]]:
        """Of each transaction the next ones, and whether an rw edge leads there."""
        some = [each for each in registers.transactions if each.may_count]
        steps: dict[int, list[tuple[int, bool]]] = {each.index: [] for each in some}
        for source in some:
            wrote = set(source.writes())
            read = list(external_values(source))
            for target in some:
                if source is target:
                    continue
                is_dependent = any(pair in wrote for pair in external_values(target)) or any(
                    key == k and registers.is_before(key, value, new)
                    for key, value in wrote
                    for k, new in target.writes()
                )
                is_dependent |= "process" in kinds and source.precedes(target)
                is_dependent |= "realtime" in kinds and (
                    source.precedes(target) or source.is_before(target)
                )
                if is_dependent:
                    steps[source.index].append((target.index, False))
                elif any(
                    key == k and registers.is_before(key, value, new)
                    for key, value in read
                    for k, new in target.writes()
                ):
                    steps[source.index].append((target.index, True))
        return steps

    def _flaw_in_citations(self, edge: Edge) -> str | None:
        """What is cited must be there, and be of the key."""
        by_event = {edge.source: self._known[edge.source], edge.target: self._known[edge.target]}
        by_event |= {each.done: each for each in by_event.values() if each.done is not None}
        for index, position in edge.cited:
            each = by_event.get(index)
            if each is not None and not any(
                micro.position == position and (edge.key is None or micro.key == freeze(edge.key))
                for micro in each.micros
            ):
                return f"event {index} has no such micro-operation {position}, which is cited"
        return None


def _reach(start: int, steps: Mapping[int, Sequence[tuple[int, bool]]], limit: int) -> Reach:
    """
    Where ways from `start` lead.

    Args:
        limit: How many rw a way may have; 2 means any number, APART any number of which no two
            follow one another.
    """
    later = {index for index, _ in _walk((start, False), steps, limit)}
    if limit == APART:  # The one more is next to the first and the last step.
        ends = _walk((start, True), steps, limit)
    else:
        ends = _walk((start, False), steps, limit) if limit else set()
    closable = {index for index, is_spent in ends if limit == 2 or not is_spent}
    return Reach(frozenset(later - {start}), frozenset(closable - {start}))


def _walk(
    start: tuple[int, bool], steps: Mapping[int, Sequence[tuple[int, bool]]], limit: int
) -> set[tuple[int, bool]]:
    """The indices that ways lead to, each with whether no rw may come next."""
    seen, waiting = {start}, [start]
    while waiting:
        index, is_spent = waiting.pop()
        for target, is_rw in steps.get(index, ()):
            if is_rw and (is_spent or limit == 0):
                continue
            if limit == 1:
                state = (target, is_spent or is_rw)
            else:
                state = (target, is_rw and limit == APART)
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return seen
