"""
Faults written down instead of drawn: a small YAML file, checked before anything runs.

    faults:
      - fault: partition:leader   # a fault, with its target after the colon
        at: 5                     # seconds from the start of the run
        until: leader-changed     # heal once this was seen (`for: 4`: heal after 4 s)
        within: 10                # and not later than so many seconds
      - fault: kill
        nodes: [n2]               # or the very nodes
        at: 5
        after: leader-changed     # strike only once this was seen
        for: 2
        with: {count: 1}          # what else the fault is told

Chance, where a line leaves any, comes from the seed of the run: the same file with the same seed
gives the same operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

import msgspec

from dissever.nemesis.faults import FAULTS, Fault, parse
from dissever.nemesis.plans.replay import Schedule, compile_schedule, is_schedule, read_schedule
from dissever.nemesis.plans.schedule import PlannedOp
from dissever.nemesis.plans.triggers import EVENTS
from dissever.nemesis.targets import minority_size

__all__ = ["Script", "Step", "compile_script", "read_script"]

WITHIN_S = 10.0

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Length = Annotated[float, msgspec.Meta(gt=0)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_s": "for"}):
    """One fault, from when it strikes to when it heals. Times in seconds."""

    fault: str
    at: Seconds
    for_s: Length | None = None
    until: str | None = None
    after: str | None = None
    within: Length = WITHIN_S
    nodes: tuple[str, ...] = ()
    with_: dict[str, Any] = msgspec.field(default={}, name="with")


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. `budget`: at most so many nodes down at a time; without it a minority."""

    faults: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    budget: Annotated[int, msgspec.Meta(ge=0)] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its faults."""
        return tuple(dict.fromkeys(step.fault.partition(":")[0] for step in self.faults))


@dataclass(frozen=True, slots=True)
class Strike:
    """A line that was checked. `where`: its place, for people."""

    where: str
    step: Step
    fault: Fault

    def takes(self, count: int, budget: int) -> int:
        """How many nodes it takes down at least."""
        if not self.fault.shape.takes_down:
            return 0
        return len(self.step.nodes) or self.fault.least(count, budget)

    def is_on(self, at_s: float) -> bool:
        """Whether it may be in force then."""
        return self.step.at <= at_s < self.step.at + _length_s(self.step)

    def meets(self, other: Strike) -> bool:
        """Whether both may be in force at a time."""
        return self.is_on(other.step.at) or other.is_on(self.step.at)


def read_script(text: str) -> Script | Schedule:
    """
    Read a script, or the schedule of a recorded run.

    Raises:
        ValueError: When it is none; the message says what was expected, what came, and where.
    """
    if is_schedule(text):
        return read_schedule(text)
    try:
        return msgspec.yaml.decode(text, type=Script)
    except msgspec.DecodeError as error:
        raise ValueError(" ".join(str(error).split())) from error


def compile_script(
    script: Script | Schedule,
    *,
    nodes: Sequence[str],
    seed: int,
    time_limit_s: float,
    budget: int | None = None,
) -> tuple[PlannedOp, ...]:
    """
    The operations of a script, in the order of their offsets.

    Args:
        budget: At most so many nodes are down at a time; None: what the script says, or a minority.

    Raises:
        ValueError: For a fault, target, event or node that there is not, a line that never heals,
            or does not fit the nodes, the budget or the time; the message names the line.
    """
    if isinstance(script, Schedule):
        return compile_schedule(script, nodes=nodes, time_limit_s=time_limit_s)
    if budget is None:
        budget = minority_size(len(nodes)) if script.budget is None else script.budget
    ops: list[PlannedOp] = []
    before: list[Strike] = []
    for number, step in enumerate(script.faults, start=1):
        try:
            fault = _checked(step, nodes, budget, time_limit_s)
            strike = Strike(f"line {number} ({step.fault})", step, fault)
            _check_together(strike, before, len(nodes), budget)
            before.append(strike)
            ops += _ops(step, fault, Random(f"{seed}/script/{number}"))
        except ValueError as error:
            raise ValueError(f"faults, line {number} ({step.fault}): {error}") from error
    return tuple(sorted(ops, key=lambda op: op.offset_ns))


def _checked(step: Step, nodes: Sequence[str], budget: int, time_limit_s: float) -> Fault:
    (fault,) = parse([step.fault])
    if step.nodes and fault.specs:
        raise ValueError("expected a target after the colon or nodes, got both")
    if unknown := sorted(set(step.nodes) - set(nodes)):
        raise ValueError(f"expected nodes out of {', '.join(nodes)}, got {', '.join(unknown)}")
    if not step.nodes:
        fault.fitting(len(nodes), budget)
    elif fault.shape.takes_down and len(step.nodes) > budget:
        raise ValueError(f"takes {len(step.nodes)} nodes down, and the budget is {budget}")
    _check_told(fault, step.with_)
    for event in filter(None, (step.after, step.until)):
        if event not in EVENTS:
            raise ValueError(f"expected an event out of {', '.join(EVENTS)}, got {event!r}")
    if (step.for_s is None) == (step.until is None):
        raise ValueError("expected either for or until, so that it heals")
    if step.at + _length_s(step) > time_limit_s:
        end = f"{step.at + _length_s(step):g} s"
        raise ValueError(f"may heal only at {end}, after the time limit of {time_limit_s:g} s")
    return fault


def _check_told(fault: Fault, told: Mapping[str, Any]) -> None:
    """What a line says under `with` must mean something to its fault."""
    shape = fault.shape
    examples = {**shape.draw(Random(0)), **shape.told, "count": 1, "seed": 1}
    for name, value in told.items():
        if name not in examples:
            raise ValueError(f"expected {', '.join(examples)} under with, got {name!r}")
        if _kind(value) is not _kind(examples[name]):
            raise ValueError(f"expected {name} like {examples[name]!r}, got {value!r}")
    shape.fits(told)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _check_together(strike: Strike, before: Sequence[Strike], count: int, budget: int) -> None:
    """Nothing may be in the way of what strikes at the same time, or might if an event is late."""
    parse([*(other.fault.name for other in before), strike.fault.name])
    meanwhile = [other for other in before if other.meets(strike)]
    for other in meanwhile:
        if other.fault.name == strike.fault.name:
            raise ValueError(f"{strike.fault.name} strikes again before it has healed")
        if strike.fault.clashes([other.fault]):
            raise ValueError(f"it and {other.where} would undo each other")
    for at_s in (strike.step.at, *(other.step.at for other in meanwhile)):
        there = [each for each in (*meanwhile, strike) if each.is_on(at_s)]
        down = sum(each.takes(count, budget) for each in there)
        if strike in there and down > budget:
            others = ", ".join(each.where for each in there[:-1])
            raise ValueError(
                f"with {others} it takes {down} nodes down, and the budget is {budget} at a time"
            )


def _length_s(step: Step) -> float:
    """How long after `at` it has healed at the latest, but for what the work itself takes."""
    waits = step.within if step.after else 0.0
    return waits + (step.within if step.for_s is None else step.for_s)


def _ops(step: Step, fault: Fault, rng: Random) -> list[PlannedOp]:
    """The injection, then the steps after it, spread over the time until it heals."""
    seed = rng.getrandbits(32)
    value = {"seed": seed, **fault.shape.draw(rng), **step.with_}
    if step.nodes:
        value["targets"] = list(step.nodes)
    elif fault.specs:
        value["spec"] = fault.specs[0]
    if step.after is not None:
        value["after"] = {"event": step.after, "within_s": step.within}
    at_ns = int(step.at * 1e9)
    first, *later = FAULTS[fault.name].steps
    ops = [PlannedOp(at_ns, fault.name, first, value)]
    for f in later:
        told: dict[str, Any] = (
            {"after": {"event": step.until, "within_s": step.within}}
            if step.for_s is None
            else {"hold_s": step.for_s / len(later)}
        )
        ops.append(PlannedOp(at_ns, fault.name, f, told))
    return ops
