"""
What the page's script draws in addition to the operations, and which operations it draws.

All are drawn (drawn.py, packing.py) as long as the page keeps its size limit. Above it operations
are left out evenly, and the ones that stay weigh more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dissever.harness.episodes import Effect, Episodes, Step, is_shown, targets
from dissever.harness.history import Event, History, Operation
from dissever.reports.drawn import Drawn
from dissever.reports.labels import error_text, value_text

NODE_MARKS = {
    Effect.STARTED: "▲",
    Effect.KILLED: "✕",
    Effect.STOPPED: "◆",
    Effect.PAUSED: "‖",
    Effect.RESUMED: "▷",
}
"""The shape that stands for what happened to the process of a node."""


def run_data(
    history: History, found: Episodes, *, nodes: Iterable[str], guilty: Iterable[int]
) -> dict[str, Any]:
    """
    What is drawn in addition to the operations.

    Args:
        nodes: Those of the plan and those that operations name; faults may name others.
    """
    struck = [event.node for each in history.faults for event in _events_of(each) if event.node]
    seen = [*filter(None, nodes), *struck, *(change.node for change in found.changes)]
    return {
        # An empty run still has an axis.
        "end": history.duration_ns // 1000 or 1_000_000,
        "nodes": list(dict.fromkeys(seen)),
        "kinds": found.names,
        "node_events": [
            {
                "time": change.time_ns // 1000,
                "node": change.node,
                "what": change.effect.value,
                "mark": NODE_MARKS[change.effect],
            }
            for change in found.changes
        ],
        "guilty": sorted(set(guilty)),
        "bands": [
            {
                "fault": episode.fault,
                "f": episode.injection.f,
                # A fault may strike at any moment of its injection, so its bar begins there.
                "start": min(episode.injection.invocation.time, episode.start_ns) // 1000,
                "held": episode.start_ns // 1000,
                "end": episode.end_ns // 1000,
                "healed": episode.healing is not None,
                "targets": episode.targets,
                "events": _events(episode.injection, episode.healing),
            }
            for episode in found.strikes
        ],
        "marks": [
            {
                "fault": mark.fault,
                "f": mark.operation.f,
                "time": mark.time_ns // 1000,
                "targets": targets(mark.operation),
                "events": _events(mark.operation),
            }
            for mark in found.marks
        ],
        "end_of_run": [_step(step) for step in found.end_of_run],
    }


def _step(step: Step) -> dict[str, Any]:
    """A step of the end of the run: whether what it waited for came; None without evidence."""
    return {
        "fault": "end of run",
        "f": step.name,
        "start": step.start_ns // 1000,
        "end": step.end_ns // 1000,
        "came": is_shown(step.operations[0]),
        "skipped": step.skipped or "",
        "targets": targets(step.operations[0]),
        "events": _events(*step.operations),
    }


def weigh(operations: Drawn, named: frozenset[int], count_max: int) -> list[int]:
    """
    How many operations each one stands for, 0 for those left out.

    Every operation with an index in named stays. The rest is thinned evenly, the ones that are
    not ok less than the ok ones, because they are rarer and say more.
    """
    total = len(operations)
    if total <= count_max:
        return [1] * total
    others = sum(1 for kind in operations.type if kind)
    stride_others = max(1, -(-2 * others // max(1, count_max)))
    room = max(1, count_max - others // stride_others)
    strides = (max(1, -(-(total - others) // room)), stride_others)
    weights = [0] * total
    seen, stands_for_others = [0, 0], [0, 0]
    rows = zip(operations.index, operations.done, operations.type, strict=True)
    for i, (index, done, kind) in enumerate(rows):
        group = 1 if kind else 0
        if seen[group] % strides[group] == 0:
            stands_for_others[group] = i
            weights[i] = 1
        elif index in named or index + done in named:
            weights[i] = 1
        else:
            weights[stands_for_others[group]] += 1
        seen[group] += 1
    return weights


def _events(*operations: Operation | None) -> list[dict[str, Any]]:
    return [
        {
            "index": event.index,
            "time": event.time // 1000,
            "process": str(event.process),
            "type": event.type.value,
            "f": event.f,
            "value": value_text(event.f, event.value),
            "error": error_text(event.error),
        }
        for operation in operations
        if operation is not None
        for event in _events_of(operation)
    ]


def _events_of(operation: Operation) -> list[Event]:
    return [event for event in (operation.invocation, operation.completion) if event is not None]
