"""
A set that only grows: every read holds what was there when it was asked, and nothing else.

What a read must hold depends on what the reads of the system promise (`Promise`). In any case a
final read must hold what was acknowledged before it was invoked (at a strictly earlier time), and
what a read that was answered before then had seen; and every ok read holds only what an operation
had asked to add, once. Final reads are the ok reads invoked after the last add was invoked, on
whichever node; without one, the last ok read.

Whether the reads are linearizable is decided by the checker of linearizability, with the model
`set`: there is one definition. This file says which elements are wrong, and how many.

Source: Jepsen, `checker.clj`, `set` and `set-full`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from msgspec import structs

from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.family import Finding
from dissever.checkers.linearizability.model import Misfit
from dissever.checkers.linearizability.models import SET
from dissever.checkers.linearizability.monitors.grow_only import judge_sequential_set
from dissever.checkers.linearizability.narration import done, sentence, who
from dissever.checkers.linearizability.sources import (
    ABORTED,
    FUTURE,
    PHANTOM,
    asked_before,
    without_source,
)
from dissever.harness.history import Event, History, Key, MalformedHistory, Operation, Type
from dissever.harness.results import Anomaly, Budget, Result, Step, Verdict, Wrong
from dissever.harness.values import freeze, listed, show, show_ns

SHOWN_MAX: Final = 8
"""Elements of one kind that are named one by one; the counts are exact."""


class Promise(StrEnum):
    """What the reads of a system promise. Of each, a final read holds what was acknowledged."""

    LINEARIZABLE = "linearizable"
    """A read holds all that was acknowledged, or read by anybody, before it was asked."""

    SEQUENTIAL = "sequential"
    """A process sees its own adds, and never less than before; all agree on one order of adds."""

    EVENTUAL = "eventual"
    """Only final reads must hold what was acknowledged."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    One wrong element, and the reads that show it.

    `adds` asked for it, if any did; `seen` is a read that had held it before.
    """

    element: Any
    adds: tuple[Operation, ...]
    reads: tuple[Operation, ...]
    seen: Operation | None = None


@dataclass(frozen=True, slots=True)
class GrowOnlySet:
    """The checker. Elements are compared by type and value; each key is a set of its own."""

    reads: Promise = Promise.LINEARIZABLE
    name: str = "set"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge in time linear in the sizes of all reads."""
        try:
            operations = history.operations
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        by_key: dict[Key | None, list[Operation]] = {}
        for operation in operations:
            by_key.setdefault(operation.key, []).append(operation)
        try:
            tallies = [Tally(key, of_key, self.reads) for key, of_key in by_key.items()]
        except Misfit as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        counted = _result(self.name, tallies)
        if self.reads is Promise.LINEARIZABLE:
            return _decided(counted, Linearizable(SET, name=self.name)(history, budget))
        if self.reads is Promise.SEQUENTIAL and counted.verdict is not Verdict.INVALID:
            return _decided(counted, _sequential(self.name, tallies))
        return counted


class Tally:
    """What was asked for, acknowledged and read of one set, and what of it is wrong."""

    def __init__(self, key: Key | None, operations: Sequence[Operation], promise: Promise) -> None:
        self.key = key
        self.operations = operations
        self.promise = promise
        self.adds: dict[Hashable, list[Operation]] = {}
        for operation in operations:
            if operation.f == "add":
                self.adds.setdefault(freeze(operation.invocation.value), []).append(operation)
        self.reads = [o for o in operations if o.f == "read" and o.type is Type.OK]
        self.contents = {id(read): _contents(read) for read in self.reads}
        self.final = self._final_reads()
        self.acknowledged = {
            element: min((a for a in adds if a.type is Type.OK), key=_completed)
            for element, adds in self.adds.items()
            if any(add.type is Type.OK for add in adds)
        }

    def _final_reads(self) -> list[Operation]:
        asked = [add.invocation.index for adds in self.adds.values() for add in adds]
        final = [read for read in self.reads if read.invocation.index > max(asked, default=-1)]
        return final or self.reads[-1:]

    def wrong(self) -> tuple[list[Found], ...]:
        """What is wrong, in the order of _KINDS. What is lost or strange is not missed as well."""
        lost, strangers = self.lost(), self.strangers()
        done = {found.element for some in (lost, *strangers) for found in some}
        return (lost, *self.missed(done), *strangers, self.duplicated())

    def lost(self) -> list[Found]:
        """Acknowledged before a final read, and not in it."""
        missing: dict[Hashable, list[Operation]] = {}
        for read in self.final:
            for element in self.acknowledged.keys() - self.contents[id(read)]:
                if _is_before(self.acknowledged[element], read):
                    missing.setdefault(element, []).append(read)
        return _sorted(
            {
                element: Found(element, (self.acknowledged[element],), tuple(reads))
                for element, reads in missing.items()
            }
        )

    def missed(self, done: set[Hashable]) -> tuple[list[Found], list[Found]]:
        """
        Elements that a read misses though they were acknowledged, or read, before it was asked.

        Those that a final read misses though their adds were never acknowledged come second. Each
        element is found once, in the first such read, and added to those that are `done`.
        """
        stale: list[Found] = []
        diverged: list[Found] = []
        known: dict[Hashable, Operation] = {}
        shown = sorted((*self.acknowledged.values(), *self.reads), key=_completed)
        at = 0
        final = {id(read) for read in self.final}
        judged = self.reads if self.promise is Promise.LINEARIZABLE else self.final
        for read in sorted(judged, key=lambda each: each.invocation.index):
            while at < len(shown) and _is_before(shown[at], read):
                for element in self._shown_by(shown[at]):  # A difference would visit all known.
                    if element not in done:
                        known.setdefault(element, shown[at])
                at += 1
            if known.keys() <= self.contents[id(read)]:
                continue
            for element in known.keys() - self.contents[id(read)]:
                before = known.pop(element)
                seen = before if before.f == "read" else None
                adds = tuple(self.adds.get(element, ()))[:1] if seen else (before,)
                is_stale = element in self.acknowledged or id(read) not in final
                kind = stale if is_stale else diverged
                kind.append(Found(element, adds, (read,), seen))
                done.add(element)
        return stale, diverged

    def _shown_by(self, operation: Operation) -> frozenset[Hashable]:
        """What is known to be there once an operation was answered."""
        if operation.f == "add":
            return frozenset((freeze(operation.invocation.value),))
        return self.contents[id(operation)]

    def strangers(self) -> tuple[list[Found], list[Found], list[Found]]:
        """Elements that no add can have caused: phantoms, those of failed and of later adds."""
        found: dict[str, dict[Hashable, Found]] = {PHANTOM: {}, ABORTED: {}, FUTURE: {}}
        for read in self.reads:
            answer = _answer(read)
            for element in self.contents[id(read)]:
                adds = self.adds.get(element, ())
                # Most have the one add that asked for them.
                if adds and adds[0].type is not Type.FAIL and asked_before(adds[0], answer):
                    continue
                if proof := without_source(read, adds):
                    of_name = found[proof.name]
                    of_name.setdefault(element, Found(element, proof.operations[:-1], (read,)))
        phantom, aborted, future = (_sorted(of_name) for of_name in found.values())
        return phantom, aborted, future

    def duplicated(self) -> list[Found]:
        """Elements that one read holds twice."""
        found: dict[Hashable, Found] = {}
        for read in self.reads:
            if len(read.value) == len(self.contents[id(read)]):
                continue
            seen: set[Hashable] = set()
            for element in map(freeze, read.value):
                if element in seen:
                    adds = tuple(self.adds.get(element, ()))
                    found.setdefault(element, Found(element, adds, (read,)))
                seen.add(element)
        return _sorted(found)

    def uncovered(self) -> int:
        """How many acknowledged elements no final read had to hold."""
        return sum(
            not any(_is_before(add, read) for read in self.final)
            for add in self.acknowledged.values()
        )

    def recovered(self) -> int:
        """How many elements were read in the end though their add was never acknowledged."""
        present = set().union(*(self.contents[id(read)] for read in self.final))
        return len((present & self.adds.keys()) - self.acknowledged.keys())


def _contents(read: Operation) -> frozenset[Hashable]:
    value = read.value
    if not isinstance(value, list | tuple):
        message = f"a read of a set answers a list, got {show(value)}"
        raise Misfit(f"event {_completed(read)}: {message}")
    if set(map(type, value)) <= {int, str}:
        return frozenset(value)
    return frozenset(map(freeze, value))


def _answer(operation: Operation) -> Event:
    assert operation.completion is not None
    return operation.completion


def _completed(operation: Operation) -> int:
    return _answer(operation).index


def _is_before(earlier: Operation, later: Operation) -> bool:
    """Whether the first was answered strictly before the second was asked."""
    answer, question = _answer(earlier), later.invocation
    is_tie = answer.time == question.time and answer.process != question.process
    return answer.index < question.index and not is_tie


def _sorted(found: dict[Hashable, Found]) -> list[Found]:
    def place(each: Found) -> tuple[str, Any]:
        element = each.element
        return str(type(element)), element if isinstance(element, int | str) else repr(element)

    return sorted(found.values(), key=place)


_KINDS: Final = {
    "lost": "{count} acknowledged and missing from a final read",
    "stale-read": "{count} missing from a read that was asked after {they} had been acknowledged",
    "diverged": "{count} read once and missing from a later read",
    PHANTOM: "{count} read though no operation had asked to add {it}",
    ABORTED: "{count} read though every add of {it} had failed",
    FUTURE: "{count} read before any operation had asked to add {it}",
    "duplicate-elements": "{count} more than once in one read",
}


_MISSED: Final = ("lost", "stale-read", "diverged")


def _result(name: str, tallies: Sequence[Tally]) -> Result:
    anomalies, counts = [], dict.fromkeys(_KINDS, 0)
    for tally in tallies:
        for kind, found in zip(_KINDS, tally.wrong(), strict=True):
            counts[kind] += len(found)
            if found:
                anomalies.append(_anomaly(kind, tally, found))
    details = {
        "attempted": sum(len(tally.adds) for tally in tallies),
        "acknowledged": sum(len(tally.acknowledged) for tally in tallies),
        "recovered": sum(tally.recovered() for tally in tallies),
        "reads": sum(len(tally.reads) for tally in tallies),
        "final_reads": sum(len(tally.final) for tally in tallies),
        "uncovered": sum(tally.uncovered() for tally in tallies),
        **{kind.replace("-", "_"): count for kind, count in counts.items()},
    }
    verdict, why = _verdict(tallies, anomalies, details)
    return Result(
        checker=name, verdict=verdict, why=why, anomalies=tuple(anomalies), details=details
    )


def _verdict(
    tallies: Sequence[Tally], anomalies: Sequence[Anomaly], details: dict[str, int]
) -> tuple[Verdict, str]:
    if anomalies:
        return Verdict.INVALID, listed((anomaly.summary for anomaly in anomalies), "; ")
    if not tallies or not all(tally.reads for tally in tallies):
        return Verdict.UNKNOWN, "no read was answered"
    if uncovered := details["uncovered"]:
        why = f"{uncovered} elements were acknowledged too late for any read that was answered"
        return Verdict.UNKNOWN, why
    if not (acknowledged := details["acknowledged"]):
        return Verdict.UNKNOWN, "no add was acknowledged"
    why = f"every final read holds all {acknowledged} acknowledged elements"
    return Verdict.VALID, f"{why}, and the reads are {tallies[0].promise}"


def _decided(counted: Result, decided: Result) -> Result:
    """What was counted, and what another checker says of the order of all reads."""
    details = {**counted.details, "order": decided.details}
    if counted.verdict is Verdict.INVALID:
        if decided.verdict is not Verdict.VALID:
            return structs.replace(counted, details=details)
        why = f"engines: there is an order of all reads, which contradicts this: {counted.why}"
        return Result(checker=counted.checker, verdict=Verdict.UNKNOWN, why=why, details=details)
    if decided.verdict > counted.verdict:
        return structs.replace(decided, details=details)
    return structs.replace(counted, details=details)


def _sequential(name: str, tallies: Sequence[Tally]) -> Result:
    """Whether one order of all operations keeps that of each process, whatever the times."""
    anomalies = []
    for tally in tallies:
        finding = judge_sequential_set(calls(tally.operations, SET.reads))
        if finding is None:
            why = "an element was added twice: no rule decides whether the reads are sequential"
            return Result(checker=name, verdict=Verdict.UNKNOWN, why=why)
        if finding.conflict:
            anomalies.append(_broken(tally, finding))
    why = anomalies[0].summary if anomalies else "an order explains every answer"
    verdict = Verdict.INVALID if anomalies else Verdict.VALID
    return Result(checker=name, verdict=verdict, why=why, anomalies=tuple(anomalies))


def _broken(tally: Tally, finding: Finding) -> Anomaly:
    guilty = [call.operation for call in finding.conflict]
    where = "set" if tally.key is None else f"set {show(tally.key)}"
    indices = tuple(sorted({index for operation in guilty for index in operation.indices}))
    return Anomaly(
        name=finding.name,
        summary=f"{where}: {done(guilty[-1])}, but {finding.reason}",
        indices=indices,
        context=indices,
        steps=tuple(map(sentence, guilty)),
        key=tally.key,
    )


def _anomaly(kind: str, tally: Tally, found: Sequence[Found]) -> Anomaly:
    shown = found[:SHOWN_MAX]
    count = "1 element was" if len(found) == 1 else f"{len(found)} elements were"
    it = "it" if len(found) == 1 else "them"
    elements = ", ".join(show(each.element) for each in shown)
    rest = ", …" if len(found) > len(shown) else ""
    they = "it" if len(found) == 1 else "they"
    what = _KINDS[kind].format(count=count, it=it, they=they)
    where = "" if tally.key is None else f"set {show(tally.key)}: "
    indices = _indices(shown)
    first = _first(found[0]) if kind in _MISSED else ""
    return Anomaly(
        name=kind,
        summary=f"{where}{what}: {elements}{rest}{first}",
        indices=indices,
        context=indices,
        steps=(*_when(kind, found), *_steps(kind, found[0])),
        key=tally.key,
        wrong=tuple(map(_wrong, shown)),
        wrong_count=len(found),
    )


def _wrong(found: Found) -> Wrong:
    """The first read that shows it, against the read or the add from which it is known."""
    against = found.seen or next(iter(found.adds), None)
    return Wrong(
        answer=found.reads[0].invocation.index,
        value=show(found.element),
        against=None if against is None else against.invocation.index,
    )


def _when(kind: str, found: Sequence[Found]) -> Iterable[Step]:
    """When and by way of which nodes all that was lost had been acknowledged, if it is much."""
    adds = [each.adds[0] for each in found if each.adds]
    if kind != "lost" or len(adds) < 2:
        return
    times = [_answer(add).time for add in adds]
    nodes = Counter(add.invocation.node for add in adds if add.invocation.node is not None)
    ways = ", ".join(f"{node} ({number})" for node, number in sorted(nodes.items()))
    way = f", by way of {ways}" if ways else ""
    yield Step(
        f"the {len(adds)} that are lost were acknowledged from {show_ns(min(times))} to "
        f"{show_ns(max(times))}{way}",
        (),
    )


def _indices(found: Iterable[Found]) -> tuple[int, ...]:
    operations = [
        operation
        for each in found
        for operation in (*each.adds[:2], *each.reads[:4], *filter(None, (each.seen,)))
    ]
    return tuple(sorted({index for operation in operations for index in operation.indices}))


def _steps(kind: str, found: Found) -> Iterable[Step]:
    """The story of one element, from who added it to a read that shows it, and others that do."""
    yield from (sentence(add) for add in found.adds[:2])
    if found.seen is not None:
        yield _step(found.seen, found.element, "among them")
    among = "among them"
    if kind in _MISSED:
        among = "not among them"
    elif kind == "duplicate-elements":
        among = "more than once among them"
    first, *others = found.reads
    yield _step(first, found.element, among)
    if others:
        reads = "1 more read shows" if len(others) == 1 else f"{len(others)} more reads show"
        indices = tuple(index for read in others[:3] for index in read.indices)
        yield Step(f"{reads} the same", indices)


def _step(read: Operation, element: Any, among: str) -> Step:
    return Step(
        f"{who(read)} asked to read at {show_ns(read.invocation.time)}; the answer at "
        f"{show_ns(_answer(read).time)} was {len(read.value)} elements, {show(element)} {among}",
        read.indices,
    )


def _first(found: Found) -> str:
    """When the first of them was missed, and how it is known that it was there."""
    read = found.reads[0]
    before = found.adds[0] if found.seen is None else found.seen
    known = "acknowledged" if found.seen is None else "read"
    return (
        f"; {who(read)} asked to read at {show_ns(read.invocation.time)} and missed "
        f"{show(found.element)}, {known} at {show_ns(_answer(before).time)}"
    )
