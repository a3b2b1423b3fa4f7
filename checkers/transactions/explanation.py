"""
From what the engine found to anomalies: each with its name, its sentences and what it cites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from msgspec import structs

from dissever.checkers.transactions.disagreement import (
    WITHOUT_MAX,
    Disagreement,
    disagreements,
)
from dissever.checkers.transactions.models import PROCESS, REALTIME
from dissever.checkers.transactions.narration import NO_KEY, Narrator, Step, joined, summary
from dissever.checkers.transactions.sentences import Parting, Scene, parted, parts, sentence
from dissever.checkers.transactions.smallest import Smallest
from dissever.checkers.transactions.view import Transaction, key_value, shown
from dissever.harness import results
from dissever.harness.results import Anomaly
from dissever.native import graph, transactions
from dissever.native.columns import Micro
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
    of the versions has in some form, and whose own edges do not name it; `steps` are its edges.
    """

    anomaly: Anomaly
    positions: tuple[int, ...]
    witnesses: tuple[int, ...] = ()
    keys: frozenset[int] = frozenset()
    forced: OrderLevel = OrderLevel.NONE
    steps: tuple[Step, ...] = ()

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


def causes_of(micro: Micro, outcome: Outcome) -> list[Disagreement]:
    """Why lists differ, of as many reads as the engine kept."""
    parted = (each for each in outcome.anomalies if each.found is Found.INCOMPATIBLE_ORDER)
    return disagreements(micro, [(each.operation, each.key) for each in parted])


def explained(
    narrator: Narrator, outcome: Outcome, causes: Sequence[Disagreement]
) -> tuple[Explained, ...]:
    """Those that are no cycles first, then the cycles, in the order of the engine."""
    parted_lists = (_disagreement(narrator, each) for each in causes[:SHOWN_MAX])
    cycles = _some(outcome.cycles.cycles, lambda each: (each.level, each.rung))
    return (
        *parted_lists,
        *_scenes(narrator, outcome.anomalies),
        *_walks(narrator, cycles),
        *_forced(narrator, outcome),
    )


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
    """Each cause once, with how many show it; lists that differ are told by `_disagreement`."""
    causes: dict[Hashable, list[transactions.Anomaly]] = {}
    for each in anomalies:
        if each.found is not Found.INCOMPATIBLE_ORDER:
            causes.setdefault(_cause(each), []).append(each)
    for every in _some(causes.values(), lambda every: every[0].found):
        yield _scene(narrator, every)


def _cause(each: transactions.Anomaly) -> Hashable:
    """Equal for anomalies of one name that one write, or one version, is the cause of."""
    what = each.operation if each.found in _OF_ONE else each.other
    return each.found, each.key, each.value, what


_OF_ONE: Final = frozenset({Found.INTERNAL, Found.FUTURE_READ, Found.CYCLIC_VERSIONS})
"""What a transaction shows by itself, so that another one is no part of the cause."""


def _scene(narrator: Narrator, every: Sequence[transactions.Anomaly]) -> Explained:
    """The first anomaly of a cause, with all those that show it."""
    each = every[0]
    others = [each.other] if each.other != transactions.NONE else []
    named = narrator.transactions(sorted([each.operation, *others]))
    values = narrator.micro.columns.values
    scene = Scene(
        named[each.operation],
        named[each.other] if others else None,
        key_value(narrator.micro, each.key),
        None if each.value == transactions.NONE else values[each.value],
    )
    name = NAMES[each.found]
    text = sentence(name, scene)
    showing = list(dict.fromkeys(one.operation for one in every))
    invoked = narrator.micro.columns.inv
    anomaly = Anomaly(
        name=name,
        summary=text,
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named, (scene.key, (scene.value,))), results.Step(text)),
        key=scene.key if isinstance(scene.key, int | str) else None,
        wrong=tuple(
            results.Wrong(
                answer=invoked[one],
                value=shown(scene.value),
                against=invoked[each.other] if others else None,
            )
            for one in showing[:WITHOUT_MAX]
        ),
        wrong_count=len(showing),
    )
    reader = narrator.reader_of_longest(each.key)
    witnesses = () if reader is None else (reader,)
    return Explained(anomaly, tuple(named), witnesses, frozenset({each.key}))


def _disagreement(narrator: Narrator, cause: Disagreement) -> Explained:
    """One cause of lists that differ, with the first read that shows it."""
    adders = [] if cause.adder is None else [cause.adder]
    without = cause.without[0]
    named = narrator.transactions(sorted({*adders, cause.seen, without}))
    key = key_value(narrator.micro, cause.key)
    parting = Parting(
        key=key,
        element=cause.element,
        instead=cause.instead,
        is_missing=cause.is_missing,
        adder=None if cause.adder is None else named[cause.adder],
        seen=named[cause.seen],
        without=named[without],
    )
    text = parted(parting)
    invoked = narrator.micro.columns.inv
    adder = None if cause.adder is None else invoked[cause.adder]
    anomaly = Anomaly(
        name=NAMES[Found.INCOMPATIBLE_ORDER],
        summary=text,
        indices=indices_of(named),
        context=indices_of(named),
        steps=(*deeds(named, (key, (cause.element, cause.instead))), results.Step(parts(parting))),
        key=key if isinstance(key, int | str) else None,
        wrong=tuple(
            results.Wrong(answer=invoked[each], value=parting.what, against=adder)
            for each in cause.without
        ),
        wrong_count=cause.count,
    )
    reader = narrator.reader_of_longest(cause.key)
    witnesses = () if reader is None or reader in named else (reader,)
    return Explained(anomaly, tuple(named), witnesses, frozenset({cause.key}))


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
    told = walked(narrator, found.name, found.steps, others)
    labels = joined([each.label for each in narrator.transactions(told.positions).values()])
    keeps = {
        OrderLevel.PROCESS: " and keeps processes",
        OrderLevel.REALTIME: " and keeps the times",
    }
    text = f"no order of {labels} explains what they read{keeps.get(found.forced, '')}, whatever"
    anomaly = structs.replace(
        found.anomaly,
        summary=f"{text} order the values were written in",
        indices=told.anomaly.indices,
        context=told.anomaly.context,
        steps=told.anomaly.steps,
        cycle=told.anomaly.cycle,
    )
    return replace(found, anomaly=anomaly)


def walked(
    narrator: Narrator, name: str, steps: Sequence[Step], others: Sequence[int] = ()
) -> Explained:
    """
    A cycle, with a sentence for each of its edges, from its earliest transaction on.

    Args:
        others: Positions of transactions outside the cycle that it is to name, too.
    """
    steps = _from_earliest(steps)
    named = narrator.transactions(sorted({*(step.source for step in steps), *others}))
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
    others_seen = tuple(sorted(witnesses - set(named)))
    return Explained(anomaly, tuple(named), others_seen, keys, steps=tuple(steps))


def _from_earliest(steps: Sequence[Step]) -> list[Step]:
    """The same cycle, which begins with the transaction that was asked first."""
    first = min(range(len(steps)), key=lambda at: steps[at].source, default=0)
    return [*steps[first:], *steps[:first]]


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


def deeds(
    named: Mapping[int, Transaction], marked: tuple[Any, tuple[Any, ...]] | None = None
) -> tuple[results.Step, ...]:
    """
    A step for each transaction: who it was, what it did, and how that ended.

    Args:
        marked: A key, and elements that must be seen of the lists that it was read as.
    """
    return tuple(results.Step(each.deed(marked), each.operation.indices) for each in named.values())


def indices_of(named: Mapping[int, Transaction]) -> tuple[int, ...]:
    """The indices of all events of the transactions, rising."""
    return tuple(sorted(index for each in named.values() for index in each.operation.indices))


def allowed(found: Sequence[Explained]) -> list[dict[str, Any]]:
    """Anomalies that a model does not forbid, as JSON values."""
    return [
        {"name": each.name, "summary": each.anomaly.summary, "indices": list(each.anomaly.indices)}
        for each in found
    ]
