"""
Cycles in plain words: one sentence for each edge, with the values that it follows from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.transactions.models import PROCESS, REALTIME
from dissever.checkers.transactions.view import (
    MicroOperation,
    Transaction,
    external,
    key_value,
    reader_of_longest,
    same,
    shown,
    transaction,
    versions,
)
from dissever.harness.history import History, Process
from dissever.harness.results import Edge
from dissever.harness.values import show_ns
from dissever.native.columns import Micro

NO_KEY: Final = -1
"""Of an edge that no data make."""


@dataclass(frozen=True, slots=True)
class Step:
    """An edge between two operations by their positions; `key` is the number of one, or NO_KEY."""

    source: int
    target: int
    kind: str
    key: int = NO_KEY


@dataclass(frozen=True, slots=True)
class Reason:
    """
    Why one transaction comes before another: a sentence, the micro-operations that it follows from,
    and the position of a third transaction that shows it, if one does.
    """

    text: str
    cited: tuple[tuple[int, int], ...] = ()
    witness: int | None = None


class Narrator:
    """Tells of the transactions of one history."""

    def __init__(self, history: History, micro: Micro) -> None:
        self.history = history
        self.micro = micro
        self._versions: dict[int, list[Any]] = {}
        self._readers: dict[int, int | None] = {}

    def transactions(self, positions: Sequence[int]) -> dict[int, Transaction]:
        """By position, each once, with the names T1, T2, … in the order given."""
        return {
            position: transaction(self.history, position, f"T{number}")
            for number, position in enumerate(dict.fromkeys(positions), 1)
        }

    def edge(self, step: Step, named: Mapping[int, Transaction]) -> tuple[Edge, Reason]:
        """One edge of a cycle, with its sentence."""
        source, target = named[step.source], named[step.target]
        reason = self.reason(step, source, target)
        key = None if step.key == NO_KEY else key_value(self.micro, step.key)
        edge = Edge(
            source=source.operation.invocation.index,
            target=target.operation.invocation.index,
            kind=step.kind,
            key=key,
            text=reason.text,
            cited=reason.cited,
        )
        return edge, reason

    def reason(self, step: Step, source: Transaction, target: Transaction) -> Reason:
        """Why an edge leads from one to the other."""
        if step.key == NO_KEY:
            return Reason(_without_data(step.kind, source, target))
        key = key_value(self.micro, step.key)
        if step.kind == "wr":
            found = next(_read_from(source, target, key), None)
        elif any(each.kind == "append" for each in (*source.writes(key), *target.writes(key))):
            order = self.versions_of(step.key)
            make = _appended_after if step.kind == "ww" else _not_seen
            found = next(make(source, target, key, order), None)
            if found is not None and order:
                found = Reason(found.text, found.cited, self.reader_of_longest(step.key))
        else:
            make_register = _overwrote if step.kind == "ww" else _read_before
            found = next(make_register(source, target, key), None)
        if found is not None:
            return found
        what = {"wr": "read what", "ww": "overwrote what", "rw": "overwrote what"}[step.kind]
        did = "read" if step.kind == "rw" else "wrote"
        return Reason(f"{target.label} {what} {source.label} {did}, of key {shown(key)}")

    def versions_of(self, key: int) -> list[Any]:
        """The versions of a list, oldest first, as its longest read shows them."""
        if key not in self._versions:
            self._versions[key] = versions(self.micro, key)
        return self._versions[key]

    def reader_of_longest(self, key: int) -> int | None:
        """The position of the first transaction that read the longest list of a key."""
        if key not in self._readers:
            self._readers[key] = reader_of_longest(self.micro, key)
        return self._readers[key]


def _without_data(kind: str, source: Transaction, target: Transaction) -> str:
    if kind in ("process", "session"):
        return by_process(source.operation.process, source.label, target.label)
    end, begin = source.operation.completion, target.operation.invocation
    if kind == "realtime" and end is not None:
        return by_time(source.label, end.time, target.label, begin.time)
    return f"{source.label} comes before {target.label}"


def by_process(process: Process, first: str, second: str) -> str:
    """Why the order of a process puts one transaction before another, both by their names."""
    return f"process {process} made {first} before it made {second}"


def by_time(first: str, end_ns: int, second: str, begin_ns: int) -> str:
    """Why real time puts one transaction before another, both by their names."""
    end, begin = show_ns(end_ns), show_ns(begin_ns)
    return f"{first} was acknowledged at {end}, before {second} began at {begin}"


def _read_from(source: Transaction, target: Transaction, key: Any) -> Iterator[Reason]:
    """wr: the target read what the source wrote."""
    written = source.writes(key)
    for place, read in target.of("r", key):
        if not isinstance(read.value, list):
            for write in written:
                if same(write.value, read.value):
                    text = f"{target.label} read key {shown(key)} as {shown(read.value)}"
                    yield Reason(f"{text}, which {source.label} wrote", (write.cited, read.cited))
            continue
        found = external(target, place)
        for write in written:
            if found and same(found[-1], write.value):
                what = f"{target.label} read key {shown(key)} as {shown(read.value, found[-1:])}"
                then = f", with {shown(write.value)}, which {source.label} appended"
                yield Reason(what + then, (write.cited, read.cited))


def _appended_after(
    source: Transaction, target: Transaction, key: Any, order: Sequence[Any]
) -> Iterator[Reason]:
    """ww of lists: the target appended what comes next after something of the source."""
    for write in source.writes(key):
        place = _place(order, write.value)
        for later in target.writes(key):
            begin = f"{target.label} appended {shown(later.value)} to key {shown(key)} after"
            after = f"{begin} {source.label} had appended {shown(write.value)} to it"
            cited = (write.cited, later.cited)
            if place is not None and _place(order, later.value) == place + 1:
                both = shown(list(order), (write.value, later.value))
                yield Reason(f"{after}: the key was read as {both}", cited)
            if place == len(order) - 1 and _place(order, later.value) is None:
                last = f"{after}: nobody read {shown(later.value)}, so it comes after all that was"
                yield Reason(f"{last} read, {shown(list(order))}", cited)


def _not_seen(
    source: Transaction, target: Transaction, key: Any, order: Sequence[Any]
) -> Iterator[Reason]:
    """rw of lists: the source read the version that the target appended to."""
    for place, read in source.of("r", key):
        if not isinstance(read.value, list):
            continue
        length = len(external(source, place))
        for write in target.writes(key):
            at = _place(order, write.value)
            if at == length or (at is None and length == len(order)):
                text = f"{source.label} read key {shown(key)} as {shown(read.value)}, and did not"
                seen = f"see {shown(write.value)}, which {target.label} appended"
                yield Reason(f"{text} {seen}", (read.cited, write.cited))


def _overwrote(source: Transaction, target: Transaction, key: Any) -> Iterator[Reason]:
    """ww of registers: the target wrote a later version than the source."""
    for write in source.writes(key):
        for later in target.writes(key):
            what = f"{target.label} wrote {shown(later.value)} to key {shown(key)}"
            cited = (write.cited, later.cited)
            for read in _own_reads(target, key, write):
                how = f", having read {shown(write.value)}, which {source.label} wrote"
                yield Reason(what + how, (*cited, read.cited))
            how = f"after {source.label} had written {shown(write.value)}"
            yield Reason(f"{what} {how}: no other order fits what was read", cited)


def _read_before(source: Transaction, target: Transaction, key: Any) -> Iterator[Reason]:
    """rw of registers: the source read a version, and the target wrote a later one."""
    for _, read in source.of("r", key):
        begin = f"{source.label} read key {shown(key)} as {shown(read.value)}, and did not see"
        for write in target.writes(key):
            what = f"{begin} {shown(write.value)}, which {target.label} wrote"
            cited = (read.cited, write.cited)
            if read.value is None:
                yield Reason(f"{what}: nothing is written before the first value", cited)
            for own in _own_reads(target, key, read):
                yield Reason(f"{what} over it", (*cited, own.cited))
            yield Reason(f"{what} later: no other order fits what was read", cited)


def _own_reads(each: Transaction, key: Any, of: MicroOperation) -> Iterator[MicroOperation]:
    """Its reads of a value of a register."""
    return (read for _, read in each.of("r", key) if same(read.value, of.value))


def _place(order: Sequence[Any], value: Any) -> int | None:
    return next((at for at, each in enumerate(order) if same(each, value)), None)


def summary(name: str, cycle: Sequence[Edge], labels: Mapping[int, str]) -> str:
    """One sentence for a newcomer: what the transactions of a cycle show."""
    bare = name.removesuffix(REALTIME).removesuffix(PROCESS)
    every = list(dict.fromkeys(labels[edge.source] for edge in cycle))
    # In "the next one" the order of the circle counts; else the order of time is easier to read.
    who = joined(every if bare.startswith("G2") else sorted(every, key=lambda each: int(each[1:])))
    need = {
        PROCESS: ", by the order of a process",
        REALTIME: ", by the times: one was acknowledged before the other began",
    }
    suffix = next((text for end, text in need.items() if name.endswith(end)), "")
    rw = next((edge for edge in cycle if edge.kind == "rw"), None)
    is_stale = bare == "G-single" and len(cycle) == 2 and suffix
    form = _STALE if is_stale else _SUMMARIES.get(bare, "no order of {who} explains what they read")
    text = form.format(
        who=who,
        reader=labels[rw.source] if rw else every[0],
        writer=labels[rw.target] if rw else every[-1],
        keys=joined(list(dict.fromkeys(shown(e.key) for e in cycle if e.key is not None))),
    )
    return text + suffix


_STALE: Final = "{reader} did not see a write of {writer} that came before it (stale read)"

_SUMMARIES: Final = {
    "G0": "{who} wrote over each other in a circle: each wrote after another of them, so none of"
    " them can have been first (dirty write)",
    "G1c": "{who} saw each other's writes in a circle: each comes after another of them, so none of"
    " them can have been first",
    "G-single": "{reader} did not see a write of {writer}, although by its other reads and writes"
    " it comes after {writer} (read skew)",
    "G-nonadjacent": "{who} saw states that no order of commits has: more than one of them missed a"
    " write that, by what they saw, came before it",
    "G2-item": "{who} each missed a write of the next one: whichever of them was first, one that"
    " came later did not see it",
    "write-skew": "{who} each read what the other one was changing, and neither saw the change:"
    " whichever was first, the other one did not see it (write skew on keys {keys})",
}


def joined(texts: Sequence[str]) -> str:
    """`T1, T2 and T3`; of many some."""
    if len(texts) > 6:
        texts = [*texts[:3], f"{len(texts) - 4} more", texts[-1]]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
