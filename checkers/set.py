"""
A set that only grows: every acknowledged element must be in the final reads, and nothing else.

Final reads are the ok reads invoked after the last add was invoked, on whichever node; without one,
the last ok read. A final read must hold what was acknowledged before it was invoked (at a strictly
earlier time), and what a read that was answered before then had seen. Every ok read, final or not,
must hold nothing that was not asked for. The rules are sound for any number of nodes and crashes.

Source: Jepsen, `checker.clj`, `set`; there only one read counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.linearizability.narration import sentence, who
from dissever.harness.history import Event, History, Key, MalformedHistory, Operation, Type
from dissever.harness.results import Anomaly, Budget, Result, Step, Verdict
from dissever.harness.values import freeze, show, show_ns

SHOWN_MAX: Final = 8
"""Elements of one kind that are named one by one; the counts are exact."""


@dataclass(frozen=True, slots=True)
class Found:
    """One wrong element: the add that asked for it, if any, and the reads that show it."""

    element: Any
    adds: tuple[Operation, ...]
    reads: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class GrowOnlySet:
    """The checker. Elements are compared by type and value; each key is a set of its own."""

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
        tallies = [Tally(key, of_key) for key, of_key in by_key.items()]
        return _result(self.name, tallies)


class Tally:
    """What was asked for, acknowledged and read of one set, and what of it is wrong."""

    def __init__(self, key: Key | None, operations: Sequence[Operation]) -> None:
        self.key = key
        self.adds: dict[Hashable, list[Operation]] = {}
        for operation in operations:
            if operation.f == "add":
                self.adds.setdefault(freeze(operation.invocation.value), []).append(operation)
        self.reads = [o for o in operations if o.f == "read" and o.type is Type.OK]
        self.contents = {id(read): _contents(read.value) for read in self.reads}
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

    def diverged(self) -> list[Found]:
        """Never acknowledged, seen by one read, and missing from a final read begun after it."""
        first_seen: dict[Hashable, Operation] = {}
        for read in sorted(self.reads, key=_completed):
            for element in self.contents[id(read)]:
                first_seen.setdefault(element, read)
        found: dict[Hashable, Found] = {}
        for read in self.final:
            for element in first_seen.keys() - self.contents[id(read)] - self.acknowledged.keys():
                if element not in found and _is_before(first_seen[element], read):
                    adds = tuple(self.adds.get(element, ()))[:1]
                    found[element] = Found(element, adds, (first_seen[element], read))
        return _sorted(found)

    def strangers(self) -> tuple[list[Found], list[Found]]:
        """Elements that no add asked for before the answer, and those whose adds all failed."""
        phantom: dict[Hashable, Found] = {}
        aborted: dict[Hashable, Found] = {}
        for read in self.reads:
            for element in self.contents[id(read)]:
                adds = self._asked_before(element, read)
                if not adds:
                    late = tuple(self.adds.get(element, ()))[:1]
                    phantom.setdefault(element, Found(element, late, (read,)))
                elif all(add.type is Type.FAIL for add in adds):
                    aborted.setdefault(element, Found(element, tuple(adds), (read,)))
        return _sorted(phantom), _sorted(aborted)

    def _asked_before(self, element: Hashable, read: Operation) -> list[Operation]:
        answered = _answer(read)
        return [
            add
            for add in self.adds.get(element, ())
            if add.invocation.index < answered.index or add.invocation.time == answered.time
        ]

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


def _contents(value: Any) -> frozenset[Hashable]:
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
    "diverged": "{count} read once and missing from a later read",
    "phantom": "{count} read though no operation had asked to add {it}",
    "aborted-read": "{count} read though every add of {it} had failed",
    "duplicate": "{count} more than once in one read",
}


def _result(name: str, tallies: Sequence[Tally]) -> Result:
    anomalies, counts = [], dict.fromkeys(_KINDS, 0)
    for tally in tallies:
        phantom, aborted = tally.strangers()
        every = (tally.lost(), tally.diverged(), phantom, aborted, tally.duplicated())
        for kind, found in zip(_KINDS, every, strict=True):
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
        return Verdict.INVALID, "; ".join(anomaly.summary for anomaly in anomalies)
    if not tallies or not all(tally.reads for tally in tallies):
        return Verdict.UNKNOWN, "no read was answered"
    if uncovered := details["uncovered"]:
        why = f"{uncovered} elements were acknowledged too late for any read that was answered"
        return Verdict.UNKNOWN, why
    if not (acknowledged := details["acknowledged"]):
        return Verdict.UNKNOWN, "no add was acknowledged"
    return Verdict.VALID, f"every final read holds all {acknowledged} acknowledged elements"


def _anomaly(kind: str, tally: Tally, found: Sequence[Found]) -> Anomaly:
    shown = found[:SHOWN_MAX]
    count = "1 element was" if len(found) == 1 else f"{len(found)} elements were"
    it = "it" if len(found) == 1 else "them"
    elements = ", ".join(show(each.element) for each in shown)
    rest = ", …" if len(found) > len(shown) else ""
    what = _KINDS[kind].format(count=count, it=it)
    where = "" if tally.key is None else f"set {show(tally.key)}: "
    indices = _indices(shown)
    return Anomaly(
        name=kind,
        summary=f"{where}{what}: {elements}{rest}",
        indices=indices,
        context=indices,
        steps=tuple(step for each in shown for step in _steps(kind, each)),
        key=tally.key,
    )


def _indices(found: Iterable[Found]) -> tuple[int, ...]:
    operations = [o for each in found for o in (*each.adds[:2], *each.reads[:4])]
    return tuple(sorted({index for operation in operations for index in operation.indices}))


def _steps(kind: str, found: Found) -> Iterable[Step]:
    yield from (sentence(add) for add in found.adds[:2])
    for number, read in enumerate(found.reads[:4]):
        is_missing = kind == "lost" or (kind == "diverged" and number == 1)
        among = "not among them" if is_missing else "among them"
        if kind == "duplicate":
            among = "more than once among them"
        yield Step(
            f"{who(read)} asked to read at {show_ns(read.invocation.time)}; the answer at "
            f"{show_ns(_answer(read).time)} was {len(read.value)} elements, "
            f"{show(found.element)} {among}",
            read.indices,
        )
