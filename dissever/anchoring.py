"""
A recorded schedule whose faults follow what the cluster did, instead of the clock.

Each injection is anchored to an event that came before it in the recorded run, and keeps its delay
after that. An event of the cluster is the best anchor: the last change of leader, the last snapshot
installed, or the first one taken, since the fault's previous operation, if it is at most NEAR_S
old. Only a simulation records these. Every node takes snapshots all the time, so later ones are no
anchor. Other injections follow the last operation of a client that had succeeded: the k-th of its
key since the run began. What carries on or heals a fault comes as long after the operation before
it as then.

An anchor that does not come in the replay delays its fault by at most SLACK_S.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dissever.harness.history import History, Key, Operation
from dissever.native.columns import OK
from dissever.nemesis import FAULTS, PlannedOp
from dissever.nemesis.plans.anchors import OPERATIONS
from dissever.nemesis.plans.triggers import GLANCE_S, WAITS
from dissever.traces import Line

__all__ = [
    "LEADER_CHANGED",
    "NEAR_S",
    "SLACK_S",
    "Happened",
    "anchored",
    "cluster_events",
    "schedule_text",
]

NEAR_S: Final = 5.0
SLACK_S: Final = 10.0

MERGED_NS: Final = int(2 * GLANCE_S * 1e9)
"""Events of one kind that come so soon after each other are seen as one by who waits for them."""

LEADER_CHANGED: Final = "leader-changed"
SNAPSHOT_TAKEN: Final = "snapshot-taken"
SNAPSHOT_INSTALLED: Final = "snapshot-installed"


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the cluster: the name of its trigger, and when."""

    time_ns: int
    event: str


def cluster_events(lines: Iterable[Line]) -> tuple[Happened, ...]:
    """The events of a simulated cluster that a replay can wait for."""
    found: list[Happened] = []
    leading: set[str] = set()
    for line in lines:
        if line.kind == "snapshot":
            event = SNAPSHOT_INSTALLED if line.how == "installed" else SNAPSHOT_TAKEN
            found.append(Happened(line.time, event))
        elif line.kind == "server" and line.node is not None:
            if line.role != "leader":
                leading.discard(line.node)
            elif line.node not in leading:
                leading.add(line.node)
                found.append(Happened(line.time, LEADER_CHANGED))
    return tuple(found)


def anchored(
    ops: Iterable[PlannedOp], history: History, events: Iterable[Happened] = ()
) -> tuple[PlannedOp, ...]:
    """
    The operations of a recorded schedule with anchors; those that wait for something as they are.

    Args:
        ops: By time, as `read_schedule` gives them.
        history: Of the recorded run.
        events: Those of its cluster, by time.
    """
    successes = _Successes(history)
    happened = tuple(events)
    over = _Completions(history.faults)
    made = []
    for op in ops:
        value = op.value if isinstance(op.value, Mapping) else {}
        free_ns = over.before(op)
        if value.keys() & set(WAITS):
            made.append(op)
        elif op.f != FAULTS[op.process].steps[0]:
            hold_s = max(0, op.offset_ns - free_ns) / 1e9
            made.append(PlannedOp(free_ns, op.process, op.f, {**value, "hold_s": hold_s}))
        else:
            after = _cluster_anchor(op, free_ns, happened) or successes.anchor(op)
            if after is None:  # Nothing had happened yet.
                made.append(op)
                continue
            after["within_s"] = (op.offset_ns - free_ns) / 1e9 + SLACK_S
            made.append(PlannedOp(free_ns, op.process, op.f, {**value, "after": after}))
    return tuple(made)


def schedule_text(ops: Iterable[PlannedOp]) -> str:
    """The operations as a schedule that `--plan` takes."""
    lines = (
        {
            "time": op.offset_ns,
            "process": op.process,
            "type": "invoke",
            "f": op.f,
            "value": op.value,
        }
        for op in ops
    )
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)


def _cluster_anchor(
    op: PlannedOp, free_ns: int, happened: tuple[Happened, ...]
) -> dict[str, Any] | None:
    """The last event of the cluster while the fault was at rest, if it is near."""
    since = [each for each in happened if free_ns < each.time_ns <= op.offset_ns]
    for last in reversed(since):
        if op.offset_ns - last.time_ns > NEAR_S * 1e9:
            return None
        times = [each.time_ns for each in since if each.event == last.event]
        seen = [time for at, time in enumerate(times) if not at or time - times[at - 1] > MERGED_NS]
        if last.event != SNAPSHOT_TAKEN or len(seen) == 1:
            delay_s = (op.offset_ns - seen[-1]) / 1e9
            return {"event": last.event, "number": len(seen), "delay_s": delay_s}
    return None


class _Successes:
    """The operations of clients that succeeded, by when they ended."""

    def __init__(self, history: History) -> None:
        columns = history.columns
        ended = sorted(
            (time, key)
            for time, key, kind in zip(columns.ret_time, columns.key, columns.type, strict=True)
            if kind == OK
        )
        self._times = [time for time, _ in ended]
        self._keys: list[Key | None] = [columns.keys[key] for _, key in ended]
        counts: Counter[Key | None] = Counter()
        self._numbers: list[int] = []
        for key in self._keys:
            counts[key] += 1
            self._numbers.append(counts[key])

    def anchor(self, op: PlannedOp) -> dict[str, Any] | None:
        """The last that ended before an operation of a fault."""
        place = bisect_left(self._times, op.offset_ns) - 1
        if place < 0:
            return None
        key = self._keys[place]
        return {
            "event": OPERATIONS,
            **({} if key is None else {"key": key}),
            "number": self._numbers[place],
            "delay_s": (op.offset_ns - self._times[place]) / 1e9,
        }


class _Completions:
    """When each fault was done with the operation before."""

    def __init__(self, faults: Iterable[Operation]) -> None:
        self._times: dict[str, list[tuple[int, int]]] = {}
        for operation in faults:
            if operation.completion is not None:
                times = (operation.invocation.time, operation.completion.time)
                self._times.setdefault(str(operation.process), []).append(times)

    def before(self, op: PlannedOp) -> int:
        """The time of the run from which on the fault had nothing to do; 0 before its first."""
        times = self._times.get(op.process, [])
        return max((ended for begun, ended in times if begun < op.offset_ns), default=0)
