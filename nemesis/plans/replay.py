"""
The faults of a recorded run, as a plan: at the same times, on the very nodes and links that were
struck then, even if another node leads now.

It is read from `schedule.jsonl`, or from `history.jsonl` where a run was killed before it wrote the
other. Whatever heals at the end of every run is left out, for a replay ends as any run does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dissever.harness.cluster.backends import Backend
from dissever.harness.names import strangers
from dissever.harness.vocabulary import END_OF_RUN
from dissever.nemesis.faults import FAULTS, parse
from dissever.nemesis.plans.schedule import PlannedOp
from dissever.nemesis.plans.triggers import WAITS
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["Schedule", "compile_schedule", "is_schedule", "read_schedule"]

_SETTLED = frozenset({"swizzle"})
"""The seed alone settles whom they strike, and in which order."""


class Line(msgspec.Struct, frozen=True):
    """What counts of an event."""

    time: int
    process: int | str
    type: str
    f: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Operations in the order of their offsets. `budget`: how many nodes it strikes in all."""

    ops: tuple[PlannedOp, ...]
    budget: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its faults."""
        return tuple(dict.fromkeys(op.process for op in self.ops))


def is_schedule(text: str) -> bool:
    """Whether its first line is an event."""
    try:
        msgspec.json.decode(text.partition("\n")[0], type=Line)
    except msgspec.DecodeError:
        return False
    return True


def read_schedule(text: str) -> Schedule:
    """
    Read the events of a run.

    Raises:
        ValueError: For a line that is no event, or a fault that there is not; it is named.
    """
    ops: list[PlannedOp] = []
    asked: dict[str, int] = {}
    """Process -> the place of its last injection in `ops`."""

    opened: set[str] = set()
    struck: set[str] = set()
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            event = msgspec.json.decode(line, type=Line)
            if isinstance(event.process, int) or event.process in END_OF_RUN:
                continue
            name, steps = event.process, _steps(event)
            if event.type != "invoke" and event.f == steps[0] and name in asked:
                last = asked.pop(name)
                value = _as_it_was(name, ops[last].value, event.value)
                ops[last] = msgspec.structs.replace(ops[last], value=value)
                struck.update(_nodes(value))
            elif event.type == "invoke" and (event.f == steps[0] or name in opened):
                if event.f == steps[0]:
                    asked[name] = len(ops)
                ops.append(PlannedOp(event.time, name, event.f, event.value))
                (opened.discard if event.f == steps[-1] else opened.add)(name)
        except (ValueError, msgspec.DecodeError) as error:
            if number == len(lines) and not line.endswith("}"):
                break  # The harness was killed while it wrote.
            raise ValueError(f"line {number}: {error}") from error
    if not ops:
        raise ValueError("expected the events of faults, found none")
    return Schedule(tuple(ops), max(1, len(struck)))


def compile_schedule(
    schedule: Schedule,
    *,
    nodes: Sequence[str],
    time_limit_s: float,
    backend: Backend = Backend.NAMESPACES,
) -> tuple[PlannedOp, ...]:
    """
    The operations for a run on these nodes; what heals after the limit is left to the run's end.

    Raises:
        ValueError: When a node is not one of these, a value is out of its range, or a fault strikes
            after the limit.
    """
    limit_ns = int(time_limit_s * 1e9)
    for op in schedule.ops:
        if lack := strangers(_nodes(op.value), nodes):
            raise ValueError(f"{op.f} at {op.offset_ns / 1e9:.3f} s: {lack}")
        if op.f == FAULTS[op.process].steps[0]:
            try:
                _check(op, nodes, backend)
            except ValueError as error:
                raise ValueError(f"{op.f} at {op.offset_ns / 1e9:.3f} s: {error}") from error
        if op.f == FAULTS[op.process].steps[0] and op.offset_ns >= limit_ns:
            raise ValueError(
                f"expected a time limit over {op.offset_ns / 1e9:.3f} s, when {op.process} strikes,"
                f" got {time_limit_s:g} s"
            )
    return tuple(op for op in schedule.ops if op.offset_ns < limit_ns)


def _check(op: PlannedOp, nodes: Sequence[str], backend: Backend) -> None:
    """Raises ValueError when the value of an injection asks for what there is not."""
    value = op.value
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if name not in WAITS}
    read_request(FAULTS[op.process].on(backend), value, nodes=nodes, seed=0, number=1)


def _steps(event: Line) -> tuple[str, ...]:
    """The operations of the fault of an event. Raises ValueError when there is none."""
    (spec,) = parse([str(event.process)])
    steps = spec.fault.steps
    if event.f not in steps:
        raise ValueError(f"expected {', '.join(steps)} of {spec.name}, got {event.f!r}")
    return steps


def _as_it_was(name: str, asked: Any, seen: Any) -> Any:
    """The value of an injection, with whom it struck in the place of what the choice was among."""
    is_open = isinstance(asked, dict) and isinstance(seen, dict) and "targets" not in asked
    if not is_open or name in _SETTLED:
        return asked
    rest = {name: each for name, each in asked.items() if name not in ("spec", "count")}
    if seen.get("grudge"):
        return {**rest, "grudge": seen["grudge"]}
    if seen.get("targets") and asked.get("spec", TargetSpec.ONE) in frozenset(TargetSpec):
        return {**rest, "targets": seen["targets"]}
    return asked


def _nodes(value: Any) -> Collection[str]:
    """The nodes that a value names."""
    fields = value if isinstance(value, dict) else {}
    named = (fields.get(name) for name in ("targets", "grudge"))
    return [str(node) for each in named if isinstance(each, list | dict) for node in each]
