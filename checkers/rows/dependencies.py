"""
Which transactions over rows must come before which, and why.

A row that was found shows its version. Of a row that was missed, the closed universe says which
versions can have been seen: those that the predicate does not match. They stand in one or more runs
of the order of versions. The first version after the last run matches, so its writer comes after
the reader; this is an anti-dependency by predicate as Adya defines it, whichever of these versions
was seen.

A version of a transaction that began after the reader had ended was not seen. That leaves fewer
runs, but it is a fact of real time: a serial order that ignores real time may put that transaction
first. So what follows from it is `is_timed`, and counts only for models that know real time.

With several runs, all but one may be impossible, because each of them would close a cycle. Then the
reader must have seen that one. Such a dependency is `derived`: it holds if the history is
serializable, so a cycle that it closes shows only that the history is not.

Source: A. Adya, "Weak Consistency", 1999, sections 4.3 and 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dissever.checkers.rows.recorded import Micro, Transaction, matches
from dissever.checkers.rows.versions import Row, Version, rows_of
from dissever.native.graph import Graph, Kind

__all__ = ["Dependencies", "Dependency", "Missed", "dependencies"]

CLOSURE_MAX: Final = 12_000
"""With more transactions no runs are ruled out, because it takes a bit for each pair of them."""

ROUNDS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Dependency:
    """
    `source` must come before `target`, which are numbers of transactions.

    `version` is the one that the edge is about: of ww and rw the later one, of wr the one that was
    read. `before` is the version that it replaced. `reader` is the micro-operation that read, None
    for ww. `is_missed`: it read by not finding the row; `is_predicate`: by a select that missed it.
    """

    source: int
    target: int
    kind: Kind
    row: Row
    version: Version
    before: Version
    reader: Micro | None = None
    is_missed: bool = False
    is_derived: bool = False
    is_timed: bool = False

    @property
    def is_predicate(self) -> bool:
        """Whether it is a dependency by predicate, not by an item."""
        return self.is_missed and self.reader is not None and self.reader.f == "select"


@dataclass(frozen=True, slots=True)
class Missed:
    """
    A row that a transaction did not find.

    `runs` are the first and the last place of each run of versions that it can have seen.
    `is_open`: it may also have seen one that nobody else did, after all of these. `is_timed`:
    versions that came too late for it are left out.
    """

    by: Transaction
    reader: Micro
    row: Row
    runs: tuple[tuple[int, int], ...]
    is_open: bool
    is_timed: bool = False

    def after(self, run: int, *, is_derived: bool) -> Iterator[Dependency]:
        """What follows if no later run was seen: the writer of the next version comes after."""
        place = self.runs[run][1] + 1
        if run == len(self.runs) - 1 and self.is_open:
            return
        yield from self._edge(Kind.RW, place, is_derived=is_derived)

    def before(self, run: int, *, is_derived: bool) -> Iterator[Dependency]:
        """What follows if no earlier run was seen: the writer of its first version comes before."""
        yield from self._edge(Kind.WR, self.runs[run][0], is_derived=is_derived)

    def _edge(self, kind: Kind, place: int, *, is_derived: bool) -> Iterator[Dependency]:
        versions = self.row.versions
        if not 0 < place < len(versions):
            return
        writer = versions[place].writer
        if writer is None or writer is self.by:
            return
        ends = (self.by.number, writer.number)
        source, target = ends if kind is Kind.RW else ends[::-1]
        yield Dependency(
            source,
            target,
            kind,
            self.row,
            versions[place],
            versions[place - 1],
            self.reader,
            is_missed=True,
            is_derived=is_derived,
            is_timed=self.is_timed,
        )


@dataclass(frozen=True, slots=True)
class Dependencies:
    """
    All that is known. `timed` are those that only real time shows.

    `missed` counts the rows that were missed, `settled` those of them with one run. `is_derived`:
    runs were ruled out, or there were none to rule out. `own` are the selects of a transaction that
    missed a row of its own which they match, and `strange` those that found a row which they do not
    match, each with the transaction and the row.
    """

    known: tuple[Dependency, ...]
    timed: tuple[Dependency, ...]
    rows: Mapping[int, Row]
    missed: int
    settled: int
    is_derived: bool
    own: tuple[tuple[Transaction, Micro, int], ...]
    strange: tuple[tuple[Transaction, Micro, int], ...]


def dependencies(transactions: Sequence[Transaction]) -> Dependencies:
    """What the transactions of a history show; their numbers are their positions."""
    rows = rows_of(transactions)
    of_key: dict[int, list[Row]] = {}
    for row in rows.values():
        of_key.setdefault(row.key, []).append(row)
    known = [edge for row in rows.values() if row.is_clear for edge in _versions_in_order(row)]
    missed: list[Missed] = []
    own: list[tuple[Transaction, Micro, int]] = []
    strange: list[tuple[Transaction, Micro, int]] = []
    for each in transactions:
        if each.is_ok:
            reading = _Reading(each, rows, of_key)
            known += reading.edges
            missed += reading.missed
            own += reading.own
            strange += reading.strange
    timed: list[Dependency] = []
    for miss in missed:
        timed += miss.after(len(miss.runs) - 1, is_derived=False)
        timed += miss.before(0, is_derived=False)
    known += [edge for edge in timed if not edge.is_timed]
    told = {(edge.source, edge.target, edge.kind) for edge in known}
    late = [e for e in timed if e.is_timed and (e.source, e.target, e.kind) not in told]
    missed = [each for each in missed if not each.is_timed]
    open_runs = [each for each in missed if len(each.runs) > 1]
    derived, is_derived = _derived(len(transactions), known, open_runs)
    return Dependencies(
        known=(*known, *derived),
        timed=tuple(late),
        rows=rows,
        missed=len(missed),
        settled=len(missed) - len(open_runs),
        is_derived=is_derived,
        own=tuple(own),
        strange=tuple(strange),
    )


def _versions_in_order(row: Row) -> Iterator[Dependency]:
    """ww."""
    for before, version in pairwise(row.versions):
        if before.writer is not None and version.writer is not None:
            ends = before.writer.number, version.writer.number
            yield Dependency(*ends, Kind.WW, row, version, before)


class _Reading:
    """What one ok transaction read, micro-operation by micro-operation."""

    def __init__(
        self, by: Transaction, rows: Mapping[int, Row], of_key: Mapping[int, Sequence[Row]]
    ) -> None:
        self._by = by
        self._rows = rows
        self._own: dict[int, int | None] = {}
        self.edges: list[Dependency] = []
        self.missed: list[Missed] = []
        self.own: list[tuple[Transaction, Micro, int]] = []
        self.strange: list[tuple[Transaction, Micro, int]] = []
        for micro in by.micros:
            if micro.f == "select":
                self._select(micro, of_key.get(micro.key, ()))
            elif micro.f != "insert" and micro.row is not None:
                self._item(micro, micro.row)
            if micro.row is not None and micro.is_applied and micro.f != "get":
                self._own[micro.row] = micro.value

    def _item(self, micro: Micro, row: int) -> None:
        if row in self._own:
            return
        if micro.trail is not None:
            self._found(micro, row, micro.trail)
        elif row in self._rows:
            self._missed(micro, self._rows[row], lambda _: True)

    def _select(self, micro: Micro, every: Sequence[Row]) -> None:
        where = micro.where
        assert where is not None
        found = dict(micro.found)
        for row, trail in micro.found:
            if not matches(trail[-1], where):
                self.strange.append((self._by, micro, row))
            if row not in self._own:
                self._found(micro, row, trail)
        for each in every:
            if each.row in found:
                continue
            if each.row not in self._own:
                self._missed(micro, each, lambda value: matches(value, where))
                continue
            value = self._own[each.row]
            if value is not None and matches(value, where):
                self.own.append((self._by, micro, each.row))

    def _found(self, micro: Micro, row: int, trail: tuple[int, ...]) -> None:
        """wr from who wrote it, rw to who wrote the next."""
        known = self._rows.get(row)
        if known is None or not known.is_clear:
            return
        place = known.last_of(trail)
        version, before = known.versions[place], known.versions[place - 1]
        if version.writer is not None and version.writer is not self._by:
            ends = version.writer.number, self._by.number
            self.edges.append(Dependency(*ends, Kind.WR, known, version, before, micro))
        for later in known.versions[place + 1 : place + 2]:
            if later.writer is not None and later.writer is not self._by:
                ends = self._by.number, later.writer.number
                self.edges.append(Dependency(*ends, Kind.RW, known, later, version, micro))

    def _missed(self, micro: Micro, row: Row, is_found: Callable[[int], bool]) -> None:
        if not row.is_clear:
            return

        def places(versions: Sequence[Version], *, is_timed: bool) -> list[int]:
            return [
                place
                for place, each in enumerate(versions)
                if (each.value is None or not is_found(each.value))
                and each.writer is not self._by
                and not (is_timed and each.writer and not self._by.may_see(each.writer))
            ]

        before: tuple[list[int], bool] | None = None
        for is_timed in (False, True):
            can_be = places(row.versions, is_timed=is_timed)
            is_open = bool(places(row.hidden, is_timed=is_timed))
            if (can_be, is_open) != before:
                miss = Missed(self._by, micro, row, _runs(can_be), is_open, is_timed)
                self.missed.append(miss)
            before = can_be, is_open


def _runs(places: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The first and the last of each run of numbers that follow one another."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return tuple(runs)


def _derived(
    count: int, known: Sequence[Dependency], missed: Sequence[Missed]
) -> tuple[list[Dependency], bool]:
    """
    What follows from runs that would close a cycle, until nothing more does.

    Nothing is derived where there is a cycle already, or where there are too many transactions.
    """
    derived: list[Dependency] = []
    if not missed:
        return derived, True
    if count > CLOSURE_MAX:
        return derived, False
    told: set[tuple[int, int, Kind]] = set()
    for _ in range(ROUNDS_MAX):
        reach = _reach(count, [*known, *derived])
        if reach is None:
            break
        new = [
            edge
            for each in missed
            for edge in _forced(each, reach)
            if (edge.source, edge.target, edge.kind) not in told
        ]
        if not new:
            break
        told.update((edge.source, edge.target, edge.kind) for edge in new)
        derived += new
    return derived, True


def _forced(each: Missed, reach: Sequence[int]) -> Iterator[Dependency]:
    """What follows from the runs that are left; all of it if none is."""
    possible = [run for run in range(len(each.runs)) if _is_possible(each, run, reach)]
    if len(possible) == len(each.runs):
        return
    first, last = (possible[0], possible[-1]) if possible else (len(each.runs) - 1, 0)
    yield from each.before(first, is_derived=True)
    yield from each.after(last, is_derived=True)


def _is_possible(each: Missed, run: int, reach: Sequence[int]) -> bool:
    """Whether a run closes no cycle of its own."""
    edges = (*each.before(run, is_derived=True), *each.after(run, is_derived=True))
    return not any(reach[edge.target] >> edge.source & 1 for edge in edges)


def _reach(count: int, edges: Sequence[Dependency]) -> list[int] | None:
    """Number -> the bits of all that come after it, itself included; None when there is a cycle."""
    pairs = {(edge.source, edge.target) for edge in edges}
    graph = Graph(count, [(source, target, Kind.WW, 0) for source, target in pairs])
    order = graph.sort()
    if order.components < count:
        return None
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        after[source].append(target)
    reach = [1 << number for number in range(count)]
    for number in reversed(order.order):
        for target in after[number]:
            reach[number] |= reach[target]
    return reach
