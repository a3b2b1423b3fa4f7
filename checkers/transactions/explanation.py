"""
From what the engine found to anomalies: each with its name, its sentences and what it cites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from msgspec import structs

from dissever.checkers.transactions.models import PROCESS, REALTIME
from dissever.checkers.transactions.narration import NO_KEY, Narrator, Step, joined, summary
from dissever.checkers.transactions.sentences import Scene, sentence
from dissever.checkers.transactions.smallest import Smallest
from dissever.checkers.transactions.view import Transaction, key_value
from dissever.harness import results
from dissever.harness.results import Anomaly
from dissever.native import graph, transactions
from dissever.native.graph import Level, Rung
from dissever.native.transactions import Found, OrderLevel, Outcome

T = TypeVar("T")

SHOWN_MAX: Final = 8
"""Of the anomalies of one name; the others are counted."""

NAMES: Final[Mapping[Found, str]] = {
    Found.INTERNAL: "internal",
    Found.FUTURE_READ: "future-read",
    Found.PHANTOM: "phantom",
    Found.G1A: "G1a",
    Found.G1B: "G1b",
    Found.DIRTY_UPDATE: "dirty-update",
    Found.DUPLICATE_ELEMENTS: "duplicate-elements",
    Found.INCOMPATIBLE_ORDER: "incompatible-order",
    Found.CYCLIC_VERSIONS: "cyclic-versions",
    Found.LOST_UPDATE: "lost-update",
}

RUNGS: Final[Mapping[Rung, str]] = {
    Rung.G0: "G0",
    Rung.G1C: "G1c",
    Rung.G_SINGLE: "G-single",
    Rung.G_NONADJACENT: "G-nonadjacent",
    Rung.G2: "G2-item",
}

LEVELS: Final[Mapping[Level, str]] = {
    Level.DATA: "",
    Level.PROCESS: PROCESS,
    Level.REALTIME: REALTIME,
}

FORCED: Final[Mapping[OrderLevel, str]] = {
    OrderLevel.DATA: "G2-item",
    OrderLevel.PROCESS: "G2-item-process",
    OrderLevel.REALTIME: "G2-item-realtime",
}
"""What is certain where no serial order of a level exists, and no cycle alone says why."""

WRITE_SKEW: Final = "write-skew"


@dataclass(frozen=True, slots=True)
class Explained:
    """
    An anomaly in words, and the positions of its transactions and of others that it cannot be seen
    without; `keys` are the numbers of its keys. `forced` is the level of a cycle that every order
    of the versions has in some form, and whose own edges do not name it.
    """

    anomaly: Anomaly
    positions: tuple[int, ...]
    witnesses: tuple[int, ...] = ()
    keys: frozenset[int] = frozenset()
    forced: OrderLevel = OrderLevel.NONE

    @property
    def name(self) -> str:
        return self.anomaly.name


def counts_of(outcome: Outcome) -> dict[str, int]:
    """How many of each name there are: of cycles, in how many components."""
    found: Counter[str] = Counter({NAMES[each]: n for each, n in outcome.counts.items()})
    for (level, rung), n in outcome.cycles.counts.items():
        found[RUNGS[rung] + LEVELS[level]] += n
    if outcome.refuted in FORCED:
        found[FORCED[outcome.refuted]] += 1
    return dict(found)


def names_of(outcome: Outcome) -> set[str]:
    """The names of all anomalies of an outcome."""
    names = {NAMES[each] for each in outcome.counts} | set(map(_name, outcome.cycles.cycles))
    return names | ({FORCED[outcome.refuted]} if outcome.refuted in FORCED else set())


def explained(narrator: Narrator, outcome: Outcome) -> tuple[Explained, ...]:
    """Those that are no cycles first, then the cycles, in the order of the engine."""
    scenes = _some(outcome.anomalies, lambda each: each.found)
    cycles = _some(outcome.cycles.cycles, lambda each: (each.level, each.rung))
    return (*_scenes(narrator, scenes), *_walks(narrator, cycles), *_forced(narrator, outcome))


def _some(every: Iterable[T], kind_of: Callable[[T], Hashable]) -> list[T]:
    """The first SHOWN_MAX of each kind."""
    counted: Counter[Hashable] = Counter()
    found = []
    for each in every:
        counted[kind_of(each)] += 1
        if counted[kind_of(each)] <= SHOWN_MAX:
            found.append(each)
    return found


def _scenes(narrator: Narrator, anomalies: Sequence[transactions.Anomaly]) -> Iterator[Explained]:
    for each in anomalies:
        others = [each.other] if each.other != transactions.NONE else []
        named = narrator.transactions([each.operation, *others])
        values = narrator.micro.columns.values
        scene = Scene(
            named[each.operation],
            named[each.other] if others else None,
            key_value(narrator.micro, each.key),
            None if each.value == transactions.NONE else values[each.value],
        )
        name = NAMES[each.found]
        text = sentence(name, scene)
        anomaly = Anomaly(
            name=name,
            summary=text,
            indices=indices_of(named),
            context=indices_of(named),
            steps=(*deeds(named), results.Step(text)),
            key=scene.key if isinstance(scene.key, int | str) else None,
        )
        reader = narrator.reader_of_longest(each.key)
        witnesses = () if reader is None else (reader,)
        yield Explained(anomaly, tuple(named), witnesses, frozenset({each.key}))


def _walks(narrator: Narrator, cycles: Sequence[graph.Cycle]) -> Iterator[Explained]:
    for cycle in cycles:
        yield walked(narrator, _name(cycle), _steps(cycle))


def _steps(cycle: graph.Cycle) -> list[Step]:
    return [Step(a, b, kind.name.lower(), key) for a, b, kind, key in cycle.steps]


def _forced(narrator: Narrator, outcome: Outcome) -> Iterator[Explained]:
    """Where no order of the versions makes the history serializable: one cycle that shows it."""
    if outcome.refuted not in FORCED:
        return
    for cycle in outcome.forced.cycles[:1]:
        found = walked(narrator, FORCED[outcome.refuted], _steps(cycle))
        yield with_others(narrator, replace(found, forced=outcome.refuted), ())


def with_others(narrator: Narrator, found: Explained, others: Sequence[int]) -> Explained:
    """A forced cycle in words, with the transactions at other positions that force it."""
    named = narrator.transactions([*found.positions, *others])
    labels = joined([each.label for each in named.values()])
    keeps = {
        OrderLevel.PROCESS: " and keeps processes",
        OrderLevel.REALTIME: " and keeps the times",
    }
    text = f"no order of {labels} explains what they read{keeps.get(found.forced, '')}, whatever"
    anomaly = structs.replace(
        found.anomaly,
        summary=f"{text} order the values were written in",
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named), *found.anomaly.steps[len(found.positions) :]),
    )
    return replace(found, anomaly=anomaly)


def walked(narrator: Narrator, name: str, steps: Sequence[Step]) -> Explained:
    """A cycle, with a sentence for each of its edges."""
    named = narrator.transactions([step.source for step in steps])
    labels = {each.operation.invocation.index: each.label for each in named.values()}
    told = [narrator.edge(step, named) for step in steps]
    cycle = tuple(edge for edge, _ in told)
    sentences = tuple(
        results.Step(
            f"{named[step.source].label} → {named[step.target].label} ({step.kind}): {edge.text}"
        )
        for step, edge in zip(steps, cycle, strict=True)
    )
    last = f"so {named[steps[0].source].label} comes before itself"
    anomaly = Anomaly(
        name=name,
        summary=summary(name, cycle, labels),
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named), *sentences, results.Step(last)),
        cycle=cycle,
    )
    witnesses = {reason.witness for _, reason in told if reason.witness is not None}
    keys = frozenset(step.key for step in steps if step.key != NO_KEY)
    return Explained(anomaly, tuple(named), tuple(sorted(witnesses - set(named))), keys)


def told_without_cycle(
    narrator: Narrator, name: str, positions: Sequence[int], what: str, small: Smallest
) -> Anomaly:
    """What no cycle shows: the transactions of the smallest history, and that no order fits."""
    named = narrator.transactions(positions)
    labels = joined([each.label for each in named.values()]) if named else "the transactions"
    text = f"no order of {labels} {what}"
    return Anomaly(
        name=name,
        summary=text,
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named), results.Step(text)),
        smallest=small.indices,
        smallest_without=small.without,
    )


def _name(cycle: graph.Cycle) -> str:
    """By its class; two that each miss what the other writes elsewhere are a write skew."""
    keys = [key for _, _, kind, key in cycle.steps if kind is graph.Kind.RW]
    is_pair = cycle.level is Level.DATA and len(cycle.steps) == 2 == len(keys)
    if is_pair and keys[0] != keys[1]:
        return WRITE_SKEW
    return RUNGS[cycle.rung] + LEVELS[cycle.level]


def deeds(named: Mapping[int, Transaction]) -> tuple[results.Step, ...]:
    """A step for each transaction: who it was, what it did, and how that ended."""
    return tuple(results.Step(each.deed, each.operation.indices) for each in named.values())


def indices_of(named: Mapping[int, Transaction]) -> tuple[int, ...]:
    """The indices of all events of the transactions, rising."""
    return tuple(sorted(index for each in named.values() for index in each.operation.indices))


def allowed(found: Sequence[Explained]) -> list[dict[str, Any]]:
    """Anomalies that a model does not forbid, as JSON values."""
    return [
        {"name": each.name, "summary": each.anomaly.summary, "indices": list(each.anomaly.indices)}
        for each in found
    ]
