"""
What may be left out of a run, and in which order it is tried. Pure.

First what saves the most time, then what a reader has to look at: end and start, faults, keys,
clients, operations, times in which nothing happens, nodes, windows, targets, settings; at last
numbers become round. A pass knows nothing of what a candidate did when it was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from math import ceil
from typing import Any, Final, TypeAlias

import msgspec

from dissever.harness.names import numbered
from dissever.harness.plan import LIMITS
from dissever.nemesis.parameters import GRUDGE
from dissever.nemesis.plans.operations import ClientOp
from dissever.nemesis.plans.script import Step
from dissever.nemesis.targets import minority_size
from dissever.shrinking.candidate import Candidate, keys_of, micro_operations
from dissever.shrinking.reduction import Search, earliest, first, reduce, without

__all__ = ["Pass", "passes"]

Pass: TypeAlias = Callable[[Candidate], Search[Candidate]]

LIMIT_LEAST_S: Final = LIMITS["time_limit_s"][0]
"""No run is shorter."""

AFTER_S: Final = 0.05
"""How long a run goes on after the anomaly, so that what was begun is answered."""

SLOTS: Final = 32
"""Into how many parts a run is divided to find where it may end."""

LATER: Final = 4
"""The last half of a run is tried alone, and the last quarter, down to 1 of 2 to this power."""

FEW: Final = 10
"""With so many operations each of them is looked at by itself."""

WINDOW_LEAST_S: Final = 0.05
"""No window of a fault is made narrower."""

GRAIN_S: Final = 1.0
"""On real nodes shorter steps save nothing, and what is narrow fails less on a slower machine."""

GAP_S: Final = 0.05
"""Times in which nothing begins or ends are cut to this."""

AIMS_S: Final = (-0.005, 0.005)
"""Many a failure needs an operation just before or just after a fault struck."""

MERGED_MAX: Final = 8
"""With more clients nobody tries to merge two."""


def passes(guilty_s: float | None, *, is_exact: bool = True) -> Mapping[str, Pass]:
    """
    What is tried, by name, in this order; again from the first until nothing becomes smaller.

    Args:
        guilty_s: When the anomaly was complete in the recorded run; None: nobody knows.
        is_exact: Whether a run is the same each time. Otherwise times are multiples of `GRAIN_S`.
    """

    def shorter(current: Candidate) -> Search[Candidate]:
        if not is_exact:
            return (yield from _shorter_by_grain(current, guilty_s))
        limit_s = current.options.time_limit_s
        if guilty_s is not None and guilty_s + AFTER_S < limit_s:
            current = yield from first(current, [_until(current, guilty_s + AFTER_S)])
        if current.operations is not None and (guilty_s is not None or _is_small(current)):
            return current  # An earlier end is luck; gaps and windows are left for other passes.
        limit_s = current.options.time_limit_s
        ends = [limit_s * (number + 1) / SLOTS for number in range(SLOTS)]
        return (yield from earliest(current, SLOTS - 1, lambda c, i: _until(c, ends[i])))

    return {
        "shorter": shorter,
        "later start": lambda current: reduce(current, _later),
        "faults": _faults,
        "keys": _keys,
        "clients": _clients,
        "operations": _operations,
        "micro-operations": _micro_operations,
        "gaps": _gaps,
        "one client for two": lambda current: reduce(current, _merged),
        "load": lambda current: reduce(current, _lighter),
        "nodes": lambda current: reduce(current, _fewer_nodes),
        "windows": lambda current: reduce(
            current, lambda c: _narrower(c, WINDOW_LEAST_S if is_exact else GRAIN_S)
        ),
        "targets": lambda current: reduce(current, _fewer_targets),
        "settings": lambda current: reduce(current, _simpler),
        "reads at the end": lambda current: first(
            current, [msgspec.structs.replace(current, final=False)]
        ),
        "round numbers": _rounder,
    }


def _is_small(current: Candidate) -> bool:
    return current.operations is not None and len(current.operations) <= FEW


def _until(current: Candidate, end_s: float) -> Candidate:
    return current.until(max(LIMIT_LEAST_S, end_s))


def _shorter_by_grain(current: Candidate, guilty_s: float | None) -> Search[Candidate]:
    limit_s = current.options.time_limit_s
    if guilty_s is not None and guilty_s + GRAIN_S < limit_s:
        end_s = ceil((guilty_s + GRAIN_S) / GRAIN_S) * GRAIN_S
        current = yield from first(current, [_until(current, end_s)])
    count = ceil(current.options.time_limit_s / GRAIN_S) - 1
    return (yield from earliest(current, count, lambda c, i: _until(c, (i + 1) * GRAIN_S)))


def _later(current: Candidate) -> Sequence[Candidate]:
    """The last part of the run alone, the shortest first."""
    limit_s = current.options.time_limit_s
    if current.operations is None or _is_small(current):
        return ()
    starts = [limit_s - limit_s / (1 << power) for power in range(LATER, 0, -1)]
    return [current.since(start_s) for start_s in starts]


def _faults(current: Candidate) -> Search[Candidate]:
    def only(candidate: Candidate, steps: tuple[Step, ...]) -> Candidate:
        return msgspec.structs.replace(candidate, faults=steps)

    if _is_small(current) and len(current.faults) > 1:
        alone = [only(current, (step,)) for step in current.faults]
        aimed = [_aimed(each, after_s) for each in alone for after_s in AIMS_S]
        current = yield from first(current, [*alone, *aimed])
    return (yield from without(current, current.faults, only))


def _aimed(current: Candidate, after_s: float) -> Candidate:
    """The operations moved together, so that the first comes so long after its one fault struck."""
    ops = current.operations or ()
    (step,) = current.faults
    delta_s = max(0.0, step.at + after_s) - min((op.at for op in ops), default=0.0)
    moved = tuple(msgspec.structs.replace(op, at=round(op.at + delta_s, 9)) for op in ops)
    ends = [op.at + AFTER_S for op in moved]
    limit_s = round(max([current.options.time_limit_s, *ends]), 9)
    return msgspec.structs.replace(current, operations=moved).changed(time_limit_s=limit_s)


def _keys(current: Candidate) -> Search[Candidate]:
    def only(candidate: Candidate, keys: tuple[Any, ...]) -> Candidate:
        kept = (_of_keys(op, frozenset(keys)) for op in candidate.operations or ())
        return candidate.doing([op for op in kept if op is not None])

    keys = keys_of(current.operations or ())
    if len(keys) < 2:
        return current
    return (yield from without(current, keys, only))


def _of_keys(op: ClientOp, keys: frozenset[Any]) -> ClientOp | None:
    """What an operation does to some keys alone."""
    if micro := micro_operations(op):
        kept = [each for each in micro if each[1] in keys]
        return msgspec.structs.replace(op, value=kept) if kept else None
    return op if op.key is None or op.key in keys else None


def _clients(current: Candidate) -> Search[Candidate]:
    if current.operations is None:
        return current
    own: dict[int, list[ClientOp]] = {}
    for op in current.operations:
        own.setdefault(op.client, []).append(op)

    def only(candidate: Candidate, lanes: tuple[list[ClientOp], ...]) -> Candidate:
        return candidate.doing(_in_order(op for lane in lanes for op in lane))

    return (yield from without(current, tuple(own.values()), only))


def _in_order(ops: Iterator[ClientOp]) -> list[ClientOp]:
    return sorted(ops, key=lambda op: op.at)


def _operations(current: Candidate) -> Search[Candidate]:
    if current.operations is None:
        return current
    return (yield from without(current, current.operations, Candidate.doing))


def _micro_operations(current: Candidate) -> Search[Candidate]:
    if current.operations is None:
        return current
    places = [
        (number, place)
        for number, op in enumerate(current.operations)
        for place in range(len(micro_operations(op)))
    ]
    before = current.operations

    def only(candidate: Candidate, kept: tuple[tuple[int, int], ...]) -> Candidate:
        ops = []
        chosen = set(kept)
        for number, op in enumerate(before):
            micro = micro_operations(op)
            left = [each for place, each in enumerate(micro) if (number, place) in chosen]
            if left or not micro:
                ops.append(msgspec.structs.replace(op, value=left) if micro else op)
        return candidate.doing(ops)

    return (yield from without(current, places, only)) if places else current


def _lighter(current: Candidate) -> Sequence[Candidate]:
    """Half of the clients, or half of the rate, where the workload draws what clients do."""
    if current.operations is not None:
        return ()
    clients, rate = current.options.concurrency, current.options.rate
    found = [current.changed(concurrency=clients // 2)] if clients > 1 else []
    return [*found, current.changed(rate=rate / 2)] if rate >= 2 else found


def _fewer_nodes(current: Candidate) -> Sequence[Candidate]:
    """Without two of the nodes, so that majorities stay odd, or without one."""
    nodes = current.options.nodes
    groups = [group for count in (2, 1) for group in combinations(nodes, count)]
    found = (_without_nodes(current, group) for group in groups if len(group) < len(nodes))
    return [each for each in found if each is not None]


def _without_nodes(current: Candidate, gone: Sequence[str]) -> Candidate | None:
    """Clients of a node that is gone talk to another; None if a fault strikes only such nodes."""
    nodes = tuple(node for node in current.options.nodes if node not in gone)
    faults = [_sparing(step, nodes) for step in current.faults]
    if None in faults:
        return None
    ops = current.operations
    if ops is not None:
        heirs = {node: nodes[place % len(nodes)] for place, node in enumerate(gone)}
        moved = {op.client: heirs[op.node] for op in ops if op.node in heirs and op.node}
        ops = tuple(
            msgspec.structs.replace(op, node=moved[op.client]) if op.client in moved else op
            for op in ops
        )
    budget = min(current.budget, max(minority_size(len(nodes)), 0))
    kept = tuple(step for step in faults if step is not None)
    changed = msgspec.structs.replace(current, faults=kept, operations=ops, budget=budget)
    return changed.changed(nodes=nodes)


def _sparing(step: Step, nodes: Sequence[str]) -> Step | None:
    """The fault, if it still strikes somebody."""
    named = tuple(node for node in step.nodes if node in nodes)
    if step.nodes and not named:
        return None
    settings = dict(step.with_)
    if isinstance(grudge := settings.get(GRUDGE), Mapping):
        settings[GRUDGE] = _between(grudge, nodes)
        if not settings[GRUDGE]:
            return None
    return msgspec.structs.replace(step, nodes=named, with_=settings)


def _between(grudge: Mapping[str, Sequence[str]], nodes: Sequence[str]) -> dict[str, list[str]]:
    cuts = {
        node: [source for source in sources if source in nodes]
        for node, sources in grudge.items()
        if node in nodes
    }
    return {node: sources for node, sources in cuts.items() if sources}


def _each_fault(
    current: Candidate, smaller: Callable[[Step], Iterator[Step]]
) -> Sequence[Candidate]:
    """The candidates with one fault that is a smaller one."""
    return [
        msgspec.structs.replace(
            current, faults=(*current.faults[:place], each, *current.faults[place + 1 :])
        )
        for place, step in enumerate(current.faults)
        for each in smaller(step)
    ]


def _narrower(current: Candidate, least_s: float) -> Sequence[Candidate]:
    """Half of the window of one fault: it ends earlier, or begins later."""

    def smaller(step: Step) -> Iterator[Step]:
        if step.for_s is None or step.for_s < 2 * least_s:
            return
        half_s = round(step.for_s / 2, 3)
        yield msgspec.structs.replace(step, for_s=half_s)
        at_s = round(step.at + step.for_s - half_s, 9)
        yield msgspec.structs.replace(step, at=at_s, for_s=half_s)

    return _each_fault(current, smaller)


def _fewer_targets(current: Candidate) -> Sequence[Candidate]:
    """One node or one cut link less of one fault."""

    def smaller(step: Step) -> Iterator[Step]:
        if len(step.nodes) > 1:
            for node in step.nodes:
                left = tuple(each for each in step.nodes if each != node)
                yield msgspec.structs.replace(step, nodes=left)
        grudge = step.with_.get(GRUDGE)
        if not isinstance(grudge, Mapping):
            return
        links = [(node, source) for node, sources in grudge.items() for source in sources]
        named = dict.fromkeys(node for link in links for node in link)
        for spared in (*named, *links):
            left_links = [link for link in links if spared != link and spared not in link]
            if left_links and len(left_links) < len(links):
                cuts: dict[str, list[str]] = {}
                for node, source in left_links:
                    cuts.setdefault(node, []).append(source)
                yield msgspec.structs.replace(step, with_={**step.with_, GRUDGE: cuts})

    return _each_fault(current, smaller)


def _simpler(current: Candidate) -> Sequence[Candidate]:
    """One setting less of one fault: it is as by default, or drawn from the seed."""

    def smaller(step: Step) -> Iterator[Step]:
        for name in step.with_:
            if name != GRUDGE:
                left = {each: step.with_[each] for each in step.with_ if each != name}
                yield msgspec.structs.replace(step, with_=left)

    return _each_fault(current, smaller)


def _merged(current: Candidate) -> Sequence[Candidate]:
    """One client does what two did."""
    ops = current.operations
    clients = sorted({op.client for op in ops or ()})
    if ops is None or len(clients) > MERGED_MAX:
        return ()
    nodes = {op.client: op.node for op in ops}
    return [
        current.doing(
            [
                msgspec.structs.replace(op, client=kept, node=nodes[kept])
                if op.client == gone
                else op
                for op in ops
            ]
        )
        for kept, gone in combinations(clients, 2)
    ]


def _gaps(current: Candidate) -> Search[Candidate]:
    """Times in which nothing begins or ends pass quickly; the run ends soon after the last."""
    if current.operations is None:
        return current
    times = [0.0, *(op.at for op in current.operations)]
    for step in current.faults:
        times += [step.at, step.at + (step.for_s or 0.0)]
    times = sorted({round(each, 9) for each in times})
    long = [(before, after) for before, after in pairwise(times) if after - before > 2 * GAP_S]
    before = current

    def only(candidate: Candidate, kept: tuple[tuple[float, float], ...]) -> Candidate:
        cut = [gap for gap in long if gap not in kept]

        def moved(at_s: float) -> float:
            saved = sum(end - start - GAP_S for start, end in cut if end <= at_s)
            return round(at_s - saved, 9)

        return _moved(candidate, before, moved, times[-1])

    if long:
        current = yield from without(current, long, only)
    last = max((op.at for op in current.operations or ()), default=0.0)
    last = max([last, *(step.at + (step.for_s or 0.0) for step in current.faults)])
    if current.options.time_limit_s <= last + 4 * GAP_S:
        return current
    return (yield from first(current, [_until(current, last + GAP_S)]))


def _moved(
    candidate: Candidate, before: Candidate, moved: Callable[[float], float], last_s: float
) -> Candidate:
    """A candidate with the times of one before it, each put elsewhere."""
    ops = tuple(
        msgspec.structs.replace(op, at=moved(old.at))
        for op, old in zip(candidate.operations or (), before.operations or (), strict=True)
    )
    faults = tuple(
        msgspec.structs.replace(
            step,
            at=moved(old.at),
            for_s=None
            if old.for_s is None
            else max(WINDOW_LEAST_S, round(moved(old.at + old.for_s) - moved(old.at), 9)),
        )
        for step, old in zip(candidate.faults, before.faults, strict=True)
    )
    limit_s = round(before.options.time_limit_s - last_s + moved(last_s), 9)
    changed = msgspec.structs.replace(candidate, operations=ops, faults=faults)
    return changed.changed(time_limit_s=max(LIMIT_LEAST_S, limit_s))


def _rounder(current: Candidate) -> Search[Candidate]:
    """Times of few digits, and nodes that are numbered from 1."""
    current = yield from first(current, [_renamed(current)])
    return (yield from first(current, [_rounded(current, digits) for digits in (1, 2, 3, 4)]))


def _rounded(current: Candidate, digits: int) -> Candidate:
    least = 10.0**-digits
    faults = tuple(
        msgspec.structs.replace(
            step,
            at=round(step.at, digits),
            for_s=None if step.for_s is None else max(least, round(step.for_s, digits)),
        )
        for step in current.faults
    )
    ops = current.operations
    if ops is not None:
        ops = tuple(msgspec.structs.replace(op, at=round(op.at, digits)) for op in ops)
    ends = [step.at + (step.for_s or 0.0) for step in faults]
    ends += [op.at + least for op in ops or ()]
    limit_s = max([LIMIT_LEAST_S, current.options.time_limit_s, *ends])
    limit_s = -(-round(limit_s * 10**digits, 6) // 1) / 10**digits  # Upwards.
    changed = msgspec.structs.replace(current, faults=faults, operations=ops)
    return changed.changed(time_limit_s=limit_s)


def _renamed(current: Candidate) -> Candidate:
    """The nodes are n1, n2, …, as by default."""
    nodes = current.options.nodes
    names = dict(zip(nodes, numbered(len(nodes)), strict=True))
    faults = tuple(
        msgspec.structs.replace(
            step,
            nodes=tuple(names[node] for node in step.nodes),
            with_={name: _named(name, each, names) for name, each in step.with_.items()},
        )
        for step in current.faults
    )
    ops = current.operations
    if ops is not None:
        ops = tuple(
            msgspec.structs.replace(op, node=None if op.node is None else names[op.node])
            for op in ops
        )
    changed = msgspec.structs.replace(current, faults=faults, operations=ops)
    return changed.changed(nodes=tuple(names.values()))


def _named(setting: str, value: Any, names: Mapping[str, str]) -> Any:
    if setting != GRUDGE:
        return value
    return {names[node]: [names[each] for each in sources] for node, sources in value.items()}
