"""
What the page's script draws of a simulation, and the window around each anomaly where it begins.

Everything is embedded as columns (packing.py), in µs. A trace can be larger than a page may be.
Then messages and states far from every anomaly are left out evenly, repeats first, and the page
says how many; what lies in a window is all there, up to a limit that is also said.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from dissever.harness.history import Operation
from dissever.harness.results import Anomaly
from dissever.reports.packing import packed_bytes
from dissever.reports.simulation import ROLES, Message, Moment, Simulation, State, Violation

SIMULATION_BYTES_MAX: Final = 2_500_000
MESSAGES_MAX: Final = 60_000
WINDOW_MESSAGES_MAX: Final = 4_000
STATES_MAX: Final = 4_000
"""Of one server."""
MOMENTS_MAX: Final = 12_000
SHRINK_ATTEMPTS_MAX: Final = 8

TELLING_SHOWN_MAX: Final = 60
"""How many messages, repeats aside, a window shows before anybody zooms: more are a thicket."""
TELLING_BEFORE: Final = 40
TELLING_SHOWN_MIN: Final = 15
"""A window with fewer reaches back further, at most by BEFORE_NS_MAX."""

BEFORE_NS_MAX: Final = 400_000_000
MARGIN_SHARE: Final = 0.12
MARGIN_NS_MIN: Final = 1_000_000
SPAN_NS_MIN: Final = 4_000_000

NS_PER_US: Final = 1_000

OF_LOSS: Final = frozenset({"incompatible-order", "lost-write", "lost"})
"""Anomalies in which something that was written is missing later."""


@dataclass(frozen=True, slots=True)
class Span:
    """
    A window: from when to when it shows at first, and the operations it is about, of which those of
    `guilty` contradict each other.

    `what` is shown above it: why the window stands where it does.
    """

    start_ns: int
    end_ns: int
    operations: tuple[int, ...]
    what: str
    guilty: tuple[int, ...] = ()


def span_of(
    anomaly: Anomaly,
    violation: Violation | None,
    simulation: Simulation,
    by_index: Mapping[int, Operation],
    *,
    end_ns: int,
) -> Span:
    """The window of an anomaly: its operations, what broke, or else the end of the run."""
    named = dict.fromkeys((*anomaly.indices, *anomaly.context))
    operations = {
        by_index[index].invocation.index: by_index[index]
        for index in named
        if index in by_index and by_index[index].invocation.is_client
    }
    guilty = [
        operation
        for operation in operations.values()
        if not set(operation.indices).isdisjoint(anomaly.indices)
    ] or list(operations.values())
    if violation is not None:
        first = last = max(0, violation.time_ns)
        what = "the moment at which it broke"
        if violation.time_ns < 0:
            what = "the beginning of the run, because it broke before that"
    elif guilty:
        first = min(operation.invocation.time for operation in guilty)
        last = max((each.completion or each.invocation).time for each in guilty)
        what = "the operations that contradict each other"
    else:
        first = last = end_ns
        what = "the end of the run, because it names no operation"
    telling = [each.start_ns for each in simulation.messages if not each.is_repeat]
    until = bisect_right(telling, last)
    count = until - bisect_left(telling, first)
    lost = _lost(anomaly, operations)
    if count > TELLING_SHOWN_MAX and lost is not None and first <= lost.invocation.time <= last:
        what += "; at first the write that was lost, because more messages would hide each other"
        first = lost.invocation.time
        at = bisect_left(telling, first)
        last = max(first, telling[min(at + TELLING_SHOWN_MAX, until) - 1])
    elif count > TELLING_SHOWN_MAX:
        what += "; its last part, because more messages would hide each other"
        first = max(first, telling[until - TELLING_BEFORE])
    elif count < TELLING_SHOWN_MIN and until:
        reach = telling[max(0, until - TELLING_BEFORE)]
        first = min(first, max(reach, last - BEFORE_NS_MAX))
    margin = max(MARGIN_NS_MIN, int(MARGIN_SHARE * (last - first)))
    short = max(0, SPAN_NS_MIN - (last - first))
    accused = {by_index[index].invocation.index for index in anomaly.indices if index in by_index}
    return Span(
        max(0, first - margin - short),
        min(end_ns, last + margin),
        tuple(sorted(operations)),
        what,
        tuple(sorted(accused & operations.keys())),
    )


def _lost(anomaly: Anomaly, operations: Mapping[int, Operation]) -> Operation | None:
    """The write that later answers lack, whose messages decide: by its end it had to be kept."""
    if anomaly.name not in OF_LOSS:
        return None
    against = [wrong.against for wrong in anomaly.wrong if wrong.against is not None]
    return next((operations[index] for index in against if index in operations), None)


def embedded_simulation(simulation: Simulation, spans: Sequence[Span]) -> dict[str, Any]:
    """
    Everything that the script draws of a simulation, small enough to be a part of a page.

    Raises nothing: a trace without a single message or state gives empty columns.
    """
    share = 1.0
    for _ in range(SHRINK_ATTEMPTS_MAX):
        data = _columns(simulation, spans, share)
        excess = packed_bytes(data) / SIMULATION_BYTES_MAX
        if excess <= 1:
            break
        share *= 0.9 / excess
    return data


def _columns(simulation: Simulation, spans: Sequence[Span], share: float) -> dict[str, Any]:
    messages = choose_messages(
        simulation.messages,
        spans,
        count_max=int(share * MESSAGES_MAX),
        window_max=int(share * WINDOW_MESSAGES_MAX),
    )
    place = {node: number for number, node in enumerate(simulation.nodes)}
    states: dict[str, dict[str, list[int]]] = {}
    drawn = 0
    for node in simulation.nodes:
        of_node = [each for each in simulation.states if each.node == node]
        kept = choose_states(of_node, spans, count_max=max(2, int(share * STATES_MAX)))
        states[node] = _state_columns(kept, place)
        drawn += len(kept)
    moments = choose_moments(simulation.moments, spans, count_max=int(share * MOMENTS_MAX))
    return {
        "nodes": list(simulation.nodes),
        "messages": _message_columns(messages, place),
        "states": states,
        "moments": [
            {
                "time": each.time_ns // NS_PER_US,
                "node": each.node,
                "kind": each.kind,
                "text": each.text,
            }
            for each in moments
        ],
        "violations": [
            {
                "time": max(0, each.time_ns) // NS_PER_US,
                "node": each.node,
                "name": each.name,
                "text": each.text,
            }
            for each in simulation.violations[:MOMENTS_MAX]
        ],
        "left_out": {
            "messages": len(simulation.messages) - len(messages),
            "states": len(simulation.states) - drawn,
            "moments": len(simulation.moments) - len(moments),
        },
    }


def choose_messages(
    messages: Sequence[Message], spans: Sequence[Span], *, count_max: int, window_max: int
) -> list[Message]:
    """
    The messages that are drawn, in their order.

    Those of each window come first, at most window_max of each, repeats last; then the telling
    ones of the rest, evenly; then repeats, evenly.
    """
    if len(messages) <= count_max:
        return list(messages)
    kept: set[int] = set()
    starts = [each.start_ns for each in messages]
    for span in spans:
        wide = span.end_ns - span.start_ns
        inside = range(
            bisect_left(starts, span.start_ns - wide), bisect_right(starts, span.end_ns + wide)
        )
        ranked = sorted(
            inside,
            key=lambda at: (
                messages[at].is_repeat,
                max(0, span.start_ns - starts[at], starts[at] - span.end_ns),
            ),
        )
        kept.update(ranked[: min(window_max, max(0, count_max - len(kept)))])
    for is_repeat in (False, True):
        others = [
            at
            for at, message in enumerate(messages)
            if message.is_repeat is is_repeat and at not in kept
        ]
        kept.update(_evenly(others, count_max - len(kept)))
    return [message for at, message in enumerate(messages) if at in kept]


def choose_states(states: Sequence[State], spans: Sequence[Span], *, count_max: int) -> list[State]:
    """The states of one server that are drawn: the first, the last, changes of role, windows."""
    if len(states) <= count_max:
        return list(states)
    kept = {0, len(states) - 1}
    identity = attrgetter("role", "term", "snapshot")
    turns = [
        number
        for number, (before, after) in enumerate(pairwise(states), 1)
        if identity(before) != identity(after)
    ]
    kept.update(_evenly(turns, count_max // 2))
    inside = [
        number
        for number, state in enumerate(states)
        if number not in kept and _is_inside(state.time_ns, spans)
    ]
    kept.update(_evenly(inside, (count_max - len(kept)) // 2))
    others = [number for number in range(len(states)) if number not in kept]
    kept.update(_evenly(others, count_max - len(kept)))
    return [state for number, state in enumerate(states) if number in kept]


def choose_moments(
    moments: Sequence[Moment], spans: Sequence[Span], *, count_max: int
) -> list[Moment]:
    """The moments that are drawn: those of windows, then the rare ones, then what was synced."""
    if len(moments) <= count_max:
        return list(moments)
    ranks = [
        2 * (each.kind == "synced") + (not _is_inside(each.time_ns, spans)) for each in moments
    ]
    kept: set[int] = set()
    for rank in range(4):
        some = [at for at, of_moment in enumerate(ranks) if of_moment == rank]
        kept.update(_evenly(some, count_max - len(kept)))
    return [moment for at, moment in enumerate(moments) if at in kept]


def _is_inside(time_ns: int, spans: Iterable[Span]) -> bool:
    return any(
        span.start_ns - wide <= time_ns <= span.end_ns + wide
        for span in spans
        if (wide := span.end_ns - span.start_ns) >= 0
    )


def _evenly(items: Sequence[int], count_max: int) -> Sequence[int]:
    """At most count_max of the items, with equal distances between them."""
    if len(items) <= count_max:
        return items
    return [items[number * len(items) // count_max] for number in range(max(0, count_max))]


ARRIVED, LOST, OPEN = range(3)
REPEAT, COPY = 1, 2


def _message_columns(messages: Sequence[Message], place: Mapping[str, int]) -> dict[str, Any]:
    tables: dict[str, dict[str, int]] = {"what": {}, "text": {}, "why": {}}

    def number(name: str, text: str) -> int:
        return tables[name].setdefault(text, len(tables[name]))

    names = ("start", "took", "from", "to", "what", "term", "text", "why", "fate", "flags")
    columns: dict[str, list[int]] = {name: [] for name in names}
    previous_us = 0
    for each in messages:
        start_us = each.start_ns // NS_PER_US
        end_us = start_us if each.end_ns is None else each.end_ns // NS_PER_US
        row = (
            start_us - previous_us, end_us - start_us, place[each.source], place[each.target],
            number("what", each.what), each.term, number("text", each.text),
            number("why", each.why), OPEN if each.end_ns is None else LOST if each.why else ARRIVED,
            REPEAT * each.is_repeat + COPY * each.is_copy,
        )  # fmt: skip
        for name, cell in zip(names, row, strict=True):
            columns[name].append(cell)
        previous_us = start_us
    return {"columns": columns, "tables": {name: list(texts) for name, texts in tables.items()}}


def _state_columns(states: Sequence[State], place: Mapping[str, int]) -> dict[str, list[int]]:
    """Times and indices as differences; a vote or leader is the number of a node, -1 for none."""
    columns: dict[str, list[int]] = {"role": [], "vote": [], "leader": []}
    for each in states:
        columns["role"].append(ROLES.index(each.role))
        columns["vote"].append(place.get(each.vote, -1))
        columns["leader"].append(place.get(each.leader, -1))
    for name in ("first", "last", "stored", "commit", "applied", "snapshot", "term"):
        columns[name] = _differences([getattr(each, name) for each in states])
    columns["time"] = _differences([each.time_ns // NS_PER_US for each in states])
    return columns


def _differences(values: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise((0, *values))]
