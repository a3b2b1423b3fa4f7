"""
What the page's script draws: the operations as columns, and how they are put into the page.

Columns compress well and need no objects in the browser. Times are in µs, starts as differences.
Above a size the columns are gzip in base64, which browsers decode themselves; above the size limit
of the page operations are left out evenly, and the ones that stay weigh more.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dissever.harness.episodes import Effect, Episodes, Step, is_shown, targets
from dissever.harness.history import History, Operation, Process, Type
from dissever.reports.labels import answered, asked, end_of, error_text, value_text

PLAIN_BYTES_MAX = 400_000
OUTCOMES = (Type.OK, Type.FAIL, Type.INFO)

NODE_MARKS = {
    Effect.STARTED: "▲",
    Effect.KILLED: "✕",
    Effect.STOPPED: "◆",
    Effect.PAUSED: "‖",
    Effect.RESUMED: "▷",
}
"""The shape that stands for what happened to the process of a node."""


WORKER_RULE = (
    "A lane is a worker: process p stands in lane p mod {workers}. After an info a worker goes on "
    "as process p + {workers}."
)
REUSE_RULE = "A process takes the first lane whose earlier process has ended."


@dataclass(frozen=True, slots=True)
class Lanes:
    """A lane per operation, in the order of the operations; `rule` is for the reader."""

    of: tuple[int, ...]
    count: int
    rule: str


def assign_lanes(operations: Sequence[Operation], *, workers: int, end_ns: int) -> Lanes:
    """
    Give every operation a lane in which no two operations overlap.

    Args:
        operations: Of clients, by invocation.
        workers: How many there were, 0 when nobody counted.
        end_ns: Where operations end that have no completion.
    """
    by_worker = [_number(operation.process) % max(1, workers) for operation in operations]
    if _is_free_of_overlap(operations, by_worker, end_ns):
        return Lanes(tuple(by_worker), max(1, workers), WORKER_RULE.format(workers=workers))
    of_process = _reuse(operations, end_ns)
    lanes = tuple(of_process[operation.process] for operation in operations)
    return Lanes(lanes, max(lanes, default=0) + 1, REUSE_RULE)


def embed(data: Any) -> tuple[str, str]:
    """How it is encoded, json or gzip, and text in which no `</` can end a script element early."""
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if len(raw) <= PLAIN_BYTES_MAX:
        return "json", _escape(raw)
    # A fixed time keeps the page a pure function of the run.
    packed = gzip.compress(raw.encode(errors="replace"), compresslevel=6, mtime=0)
    return "gzip", base64.b64encode(packed).decode("ascii")


def _escape(raw: str) -> str:
    """JSON that no parser of HTML or of old JavaScript can take for anything else."""
    return raw.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def columns(
    operations: Sequence[Operation], lanes: Lanes, weights: Sequence[int], *, end_ns: int
) -> dict[str, Any]:
    """
    The operations of weight > 0 as parallel columns, by invocation.

    `done` is the distance from the invocation's index to the completion's, 0 without one.
    """
    tables: dict[str, dict[Any, int]] = {name: {} for name in ("f", "key", "node", "error")}

    def number(name: str, text: Any) -> int:
        return tables[name].setdefault(text, len(tables[name]))

    names = ("index", "done", "start", "took", "lane", "process", "type", "asked", "answered")
    result: dict[str, Any] = {name: [] for name in (*names, *tables, "weight")}
    previous_us = 0
    for operation, lane, weight in zip(operations, lanes.of, weights, strict=True):
        if not weight:
            continue
        invocation, completion = operation.invocation, operation.completion
        start_us = invocation.time // 1000
        row = {
            "index": invocation.index,
            "done": completion.index - invocation.index if completion else 0,
            "start": start_us - previous_us,
            "took": (end_of(operation, end_ns=end_ns) - invocation.time) // 1000,
            "lane": lane,
            "process": invocation.process,
            "type": OUTCOMES.index(operation.type),
            "asked": asked(operation),
            "answered": answered(operation),
            "f": number("f", invocation.f),
            "key": number("key", invocation.key),
            "node": number("node", invocation.node or ""),
            "error": number("error", error_text(completion.error if completion else None)),
            "weight": weight,
        }
        for name, cell in row.items():
            result[name].append(cell)
        previous_us = start_us
    if all(weight == 1 for weight in result["weight"]):
        del result["weight"]
    return {"columns": result, "tables": {name: list(texts) for name, texts in tables.items()}}


def run_data(
    history: History, found: Episodes, *, nodes: Sequence[str], guilty: Iterable[int]
) -> dict[str, Any]:
    """What is drawn in addition to the operations."""
    seen = [event.node for event in history if event.node]
    seen += [change.node for change in found.changes]
    return {
        # An empty run still has an axis.
        "end": history.duration_ns // 1000 or 1_000_000,
        "nodes": list(dict.fromkeys([*nodes, *seen])),
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
                "start": episode.start_ns // 1000,
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
    """A step of the end of the run: what it waited for came, did not, or nobody looked (None)."""
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


def weigh(operations: Sequence[Operation], named: frozenset[int], count_max: int) -> list[int]:
    """
    How many operations each one stands for, 0 for those left out.

    Every operation with an index in named stays. The rest is thinned evenly, the ones that are
    not ok less than the ok ones, because they are rarer and say more.
    """
    if len(operations) <= count_max:
        return [1] * len(operations)
    others = sum(1 for operation in operations if operation.type is not Type.OK)
    stride_others = max(1, -(-2 * others // max(1, count_max)))
    room = max(1, count_max - others // stride_others)
    stride_ok = max(1, -(-(len(operations) - others) // room))
    weights = [0] * len(operations)
    seen = {True: 0, False: 0}
    stands_for_others = {True: 0, False: 0}
    for i, operation in enumerate(operations):
        is_ok = operation.type is Type.OK
        if seen[is_ok] % (stride_ok if is_ok else stride_others) == 0:
            stands_for_others[is_ok] = i
            weights[i] = 1
        elif not named.isdisjoint(operation.indices):
            weights[i] = 1
        else:
            weights[stands_for_others[is_ok]] += 1
        seen[is_ok] += 1
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
        for event in (operation.invocation, operation.completion)
        if event is not None
    ]


def _number(process: Process) -> int:
    return process if isinstance(process, int) else 0


def _is_free_of_overlap(operations: Sequence[Operation], lanes: Sequence[int], end_ns: int) -> bool:
    busy_until: dict[int, int] = {}
    for operation, lane in zip(operations, lanes, strict=True):
        if operation.invocation.time < busy_until.get(lane, 0):
            return False
        busy_until[lane] = end_of(operation, end_ns=end_ns)
    return True


def _reuse(operations: Sequence[Operation], end_ns: int) -> dict[Process, int]:
    last_end: dict[Process, int] = {}
    for operation in operations:
        last_end[operation.process] = end_of(operation, end_ns=end_ns)
    lanes: dict[Process, int] = {}
    busy_until: list[int] = []
    for operation in operations:
        process, start = operation.process, operation.invocation.time
        if process in lanes:
            continue
        free = (lane for lane, until in enumerate(busy_until) if until <= start)
        lane = next(free, len(busy_until))
        busy_until[lane : lane + 1] = [last_end[process]]
        lanes[process] = lane
    return lanes
