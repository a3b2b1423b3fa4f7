"""
What the timeline draws besides operations and faults: nodes that were down, and long waits.

A node is down from the end of its process to the next start. A wait is a stretch in which no client
asked anything because the harness healed faults or waited for the recovery. It is cut into pieces,
one for each thing that was waited for, so that the timeline has words where it would be blank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.episodes import (
    Effect,
    Episodes,
    NodeChange,
    Role,
    Step,
    evidence,
    report,
    report_of,
    waited_of,
)
from dissever.harness.history import History, Operation
from dissever.harness.latency import Span, quiet_spans, recovery_spans
from dissever.harness.values import shorten
from dissever.reports.details import UnaskedEnd
from dissever.reports.labels import error_text

WAIT_NS_MIN: Final = 100_000_000
"""Shorter waits get no band."""

OTHER_FAMILY: Final = "other"
"""The family of a fault that nobody has put into one."""

RECOVERY_PROCESS: Final = "recovery"

_WORDS: Final[Mapping[str, str]] = {
    "await-progress": "waiting for a majority to answer",
    "await-ready": "waiting for every node to serve",
    "restart-all": "restarting all nodes",
    "compare-replicas": "comparing the replicas",
    "restart-to-compare": "restarting all nodes, to compare again",
    "compare-after-restart": "comparing the replicas after the restart",
}
"""A step of the recovery in words."""

KEYS: Final = (
    (("+", "−"), "zoom in and out"),
    (("←", "→"), "move"),
    (("0",), "show the whole run"),
    (("N", "P"), "next and previous operation"),
    (("↑", "↓"), "nearest operation of the lane above and below"),
    (("Enter",), "select the operation"),
    (("F",), "show or fold all families of faults"),
    (("Esc",), "close what is open, from anywhere on the page"),
    (("?",), "this list, from anywhere on the page"),
    (("Drag",), "move; in the strip above, choose a range"),
    (("Double click",), "show the whole run"),
    (("Ctrl", "Wheel"), "zoom; without Ctrl once the timeline was clicked"),
)
"""The keys of the timeline, and what they do."""

_ENDS: Final = (Effect.KILLED, Effect.STOPPED)


@dataclass(frozen=True, slots=True)
class Down:
    """
    A node without a process, from an end to the next start; `is_back` is False without a start.

    `what` says in words how it ended, and `why` what explains an end that nobody asked for.
    """

    node: str
    start_ns: int
    end_ns: int
    is_asked: bool
    is_back: bool
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A stretch of time in which no client asked; `error` is what did not come."""

    start_ns: int
    end_ns: int
    what: str
    error: str = ""


def timeline_data(
    history: History,
    found: Episodes,
    ends: Sequence[UnaskedEnd],
    families: Mapping[str, str],
) -> dict[str, Any]:
    """What is embedded in the page, with times in µs."""
    return {
        "families": {kind: families.get(kind, OTHER_FAMILY) for kind in found.names},
        "downs": [
            {
                "node": down.node,
                "start": down.start_ns // 1000,
                "end": down.end_ns // 1000,
                "asked": down.is_asked,
                "back": down.is_back,
                "what": down.what,
                "why": down.why,
            }
            for down in downs(found, ends, end_ns=history.duration_ns)
        ],
        "waits": [
            {
                "start": wait.start_ns // 1000,
                "end": wait.end_ns // 1000,
                "what": wait.what,
                "error": wait.error,
            }
            for wait in waits(history, found)
        ],
    }


def downs(found: Episodes, ends: Sequence[UnaskedEnd], *, end_ns: int) -> tuple[Down, ...]:
    """When nodes had no process, by time; an end whose time nobody knows is left out."""
    changes: dict[str, list[NodeChange]] = {}
    for change in found.changes:
        changes.setdefault(change.node, []).append(change)
    asked = (down for of_node in changes.values() for down in _asked(of_node, end_ns))
    dated = [(end, end.time_ns) for end in ends if end.time_ns is not None]
    unasked = (
        _unasked(
            end,
            start_ns,
            changes.get(end.node, ()),
            [time_ns for other, time_ns in dated if other.node == end.node],
            end_ns,
        )
        for end, start_ns in dated
    )
    return tuple(sorted((*asked, *unasked), key=lambda down: down.start_ns))


def _asked(changes: Sequence[NodeChange], end_ns: int) -> Iterator[Down]:
    """The times without a process that a fault made, of one node."""
    ended: NodeChange | None = None
    for change in changes:
        if change.effect in _ENDS:
            ended = ended or change
        elif change.effect is Effect.STARTED and ended is not None:
            yield _made(ended, change.time_ns, is_back=True)
            ended = None
    if ended is not None:
        yield _made(ended, max(ended.time_ns, end_ns), is_back=False)


def _made(ended: NodeChange, until_ns: int, *, is_back: bool) -> Down:
    what = f"{ended.node} was {ended.effect.value} by a fault"
    return Down(ended.node, ended.time_ns, until_ns, True, is_back, what)


def _unasked(
    end: UnaskedEnd,
    start_ns: int,
    changes: Sequence[NodeChange],
    unasked_ns: Sequence[int],
    end_ns: int,
) -> Down:
    """
    The time without a process after an end that nobody asked for.

    It has no length when the node was started again and nobody knows when. What ends once more had
    been started before, so a start that is known to be later does not count.

    Args:
        changes: What faults did to the node.
        unasked_ns: When the node ended unasked.
    """
    back_ns = end.next_ns
    if back_ns is None:
        back_ns = _first_after(start_ns, changes, (Effect.STARTED,))
    ended_ns = (
        _first_after(start_ns, changes, _ENDS),
        min((time_ns for time_ns in unasked_ns if time_ns > start_ns), default=None),
    )
    again_ns = min((time_ns for time_ns in ended_ns if time_ns is not None), default=None)
    is_back = back_ns is not None or again_ns is not None or end.is_restarted is True
    if again_ns is not None and (back_ns is None or back_ns > again_ns):
        back_ns = start_ns
    if back_ns is None:
        back_ns = start_ns if is_back else end_ns
    return Down(end.node, start_ns, max(start_ns, back_ns), False, is_back, end.what, end.why)


def _first_after(
    start_ns: int, changes: Sequence[NodeChange], effects: Sequence[Effect]
) -> int | None:
    """When one of the effects came first after a time."""
    times = (change.time_ns for change in changes if change.effect in effects)
    return min((time_ns for time_ns in times if time_ns > start_ns), default=None)


def waits(history: History, found: Episodes) -> tuple[Wait, ...]:
    """The stretches in which no client asked, cut by what the harness waited for, by time."""
    end_ns = history.duration_ns
    quiet = quiet_spans(history.times, recovery_spans(history.faults, end_ns=end_ns), end_ns=end_ns)
    steps = [
        step
        for step in found.end_of_run
        if step.operations[0].process == RECOVERY_PROCESS and step.skipped is None
    ]
    heals = [operation for operation, role in found.operations if role is Role.HEAL]
    cut = (piece for span in quiet for piece in _pieces(span, steps, heals))
    return tuple(wait for wait in cut if wait.end_ns - wait.start_ns >= WAIT_NS_MIN)


def _pieces(span: Span, steps: Sequence[Step], heals: Sequence[Operation]) -> Iterator[Wait]:
    """
    A stretch, cut where a step of the recovery begins or ends, and where it has waited in vain:
    then it asks each node alone.
    """
    now_ns, until_ns = span
    for step in steps:
        start_ns, end_ns = max(now_ns, step.start_ns), min(until_ns, step.end_ns)
        if end_ns <= start_ns:
            continue
        yield _between(now_ns, start_ns, heals)
        waited_ns = (
            waited_of(step.operations[0]) if evidence(step.operations[0]).get("silent") else None
        )
        over_ns = end_ns if waited_ns is None else min(end_ns, step.start_ns + waited_ns)
        over_ns = max(start_ns, over_ns)
        yield Wait(start_ns, over_ns, _WORDS.get(step.name, step.name), _error(step))
        yield Wait(over_ns, end_ns, "asking each node alone")
        now_ns = end_ns
    yield _between(now_ns, until_ns, heals)


def _between(start_ns: int, end_ns: int, heals: Sequence[Operation]) -> Wait:
    """A piece in which nothing was asked of the recovery."""
    is_healing = any(
        each.invocation.time < end_ns and (report_of(each) or each.invocation).time > start_ns
        for each in heals
    )
    return Wait(start_ns, end_ns, "healing the faults" if is_healing else "no client asked")


def _error(step: Step) -> str:
    """What a step waited for in vain; empty when it came."""
    event = report_of(step.operations[0])
    missing = report(step.operations[0]).get("missing")
    return shorten(str(missing), 200) if missing else error_text(event.error if event else None)
