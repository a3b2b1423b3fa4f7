"""
Faults written down instead of drawn: a small YAML file, checked before anything runs.

    faults:
      - fault: partition:leader   # a fault, with its target after the colon
        at: 5                     # seconds from the start of the run
        until: leader-changed     # heal once this was seen (`for: 4`: heal after 4 s)
        within: 10                # and after 10 s at the latest
      - fault: kill
        nodes: [n2]               # or the very nodes
        at: 5
        after: leader-changed     # strike only once this was seen
        for: 2
        with: {count: 1}          # settings of the fault

What the file leaves open is drawn from the seed of the run: the same file with the same seed
gives the same operations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

import msgspec
import yaml  # type: ignore[import-untyped]  # Its stubs are a package of their own.

from dissever.nemesis.fault import Fault, FaultSpec
from dissever.nemesis.faults import parse
from dissever.nemesis.parameters import GRUDGE, check_count
from dissever.nemesis.plans.replay import Schedule, compile_schedule, is_schedule, read_schedule
from dissever.nemesis.plans.schedule import PlannedOp
from dissever.nemesis.plans.triggers import TRIGGERS
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


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, before its lines are looked at."""

    faults: Annotated[tuple[Any, ...], msgspec.Meta(min_length=1)]
    budget: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """
    What a file says.

    `lines`: where each fault begins in the file, from 1. `budget`: at most this many nodes down at
    a time; None: a minority.
    """

    faults: tuple[Step, ...]
    lines: tuple[int, ...]
    budget: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its faults."""
        return tuple(dict.fromkeys(step.fault.partition(":")[0] for step in self.faults))


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault of the file that was checked. `where`: its place, for people."""

    where: str
    step: Step
    spec: FaultSpec

    def takes(self, count: int, budget: int) -> int:
        """How many nodes it takes down at least."""
        if not self.spec.fault.takes_down:
            return 0
        return len(self.step.nodes) or self.spec.least(count, budget)

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
        ValueError: When it is none; the message has a line for each error, with what was expected,
            what came, and the line of the file.
    """
    if is_schedule(text):
        return read_schedule(text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        file = msgspec.convert(yaml.safe_load(text), _File)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    steps, errors = [], []
    places = _places(root)
    for item, place in zip(file.faults, places, strict=True):
        try:
            steps.append(msgspec.convert(item, Step))
        except msgspec.ValidationError as error:
            errors.append(_located(str(error), place))
    if errors:
        raise ValueError("\n".join(errors))
    return Script(tuple(steps), tuple(place[""] for place in places), file.budget)


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
        budget: At most this many nodes are down at a time; None: what the script says, or a
            minority.

    Raises:
        ValueError: For a fault, target, trigger, setting or node that there is not, a fault that
            never heals, or does not fit the nodes, the budget or the time. The message has a line
            for each fault that is wrong, with its line in the file.
    """
    if isinstance(script, Schedule):
        return compile_schedule(script, nodes=nodes, time_limit_s=time_limit_s)
    if budget is None:
        budget = minority_size(len(nodes)) if script.budget is None else script.budget
    ops: list[PlannedOp] = []
    before: list[Strike] = []
    errors = []
    for number, (step, line) in enumerate(zip(script.faults, script.lines, strict=True), start=1):
        where = f"line {line} ({step.fault})"
        try:
            (spec,) = parse([step.fault])
            _check(step, spec, nodes, budget, time_limit_s)
            strike = Strike(where, step, spec)
            _check_together(strike, before, len(nodes), budget)
            before.append(strike)
            ops += _ops(step, spec, Random(f"{seed}/script/{number}"))
        except ValueError as error:
            errors.append(f"{where}: {error}")
    if errors:
        raise ValueError("\n".join(errors))
    return tuple(sorted(ops, key=lambda op: op.offset_ns))


def _places(root: yaml.Node) -> list[dict[str, int]]:
    """For each fault, the line of each of its fields, and of its beginning as that of ``."""
    (faults,) = [value for key, value in root.value if key.value == "faults"]
    return [
        {"": item.start_mark.line + 1}
        | {
            str(key.value): key.start_mark.line + 1
            for key, _ in (item.value if isinstance(item, yaml.MappingNode) else ())
        }
        for item in faults.value
    ]


def _located(message: str, place: dict[str, int]) -> str:
    """An error of msgspec's, with the line of the file in the place of its path."""
    text, _, path = message.partition(" - at `$")
    names = re.findall(r"\w+", path) or re.findall(r"unknown field `(\w+)`", text)
    line = place.get(names[0] if names else "", place[""])
    field = f"{names[0]}: " if path and names else ""
    return f"line {line}: {field}{text[:1].lower()}{text[1:]}"


def _check(
    step: Step, spec: FaultSpec, nodes: Sequence[str], budget: int, time_limit_s: float
) -> None:
    if step.nodes and spec.targets:
        raise ValueError("expected a target after the colon or nodes, got both")
    if unknown := sorted({*step.nodes, *_named(step)} - set(nodes)):
        raise ValueError(f"expected nodes out of {', '.join(nodes)}, got {', '.join(unknown)}")
    if not step.nodes:
        spec.fitting(len(nodes), budget)
    elif spec.fault.takes_down and len(step.nodes) > budget:
        raise ValueError(f"takes {len(step.nodes)} nodes down, and the budget is {budget}")
    _check_settings(step, spec, nodes)
    for trigger in filter(None, (step.after, step.until)):
        if trigger not in TRIGGERS:
            raise ValueError(f"expected a trigger out of {', '.join(TRIGGERS)}, got {trigger!r}")
    if (step.for_s is None) == (step.until is None):
        raise ValueError("expected either for or until, so that it heals")
    if step.at + _length_s(step) > time_limit_s:
        end = f"{step.at + _length_s(step):g} s"
        raise ValueError(f"may heal only at {end}, after the time limit of {time_limit_s:g} s")


def _check_settings(step: Step, spec: FaultSpec, nodes: Sequence[str]) -> None:
    """What a fault has under `with` must be parameters of it, in their ranges."""
    names = (*(each.name for each in spec.fault.parameters), "count", "seed")
    if unknown := [name for name in step.with_ if name not in names]:
        raise ValueError(f"expected {', '.join(names)} under with, got {unknown[0]!r}")
    check_count(step.with_.get("count"), nodes)
    if type(step.with_.get("seed", 0)) is not int:
        raise ValueError(f"expected seed as a whole number, got {step.with_['seed']!r}")
    spec.fault.filled(_own(step), Random(0))


def _own(step: Step) -> dict[str, Any]:
    """What it says under `with` of the parameters of its fault."""
    return {name: step.with_[name] for name in step.with_ if name not in ("count", "seed")}


def _named(step: Step) -> set[str]:
    """The nodes that the cuts of a fault name."""
    grudge = step.with_.get(GRUDGE)
    if not isinstance(grudge, dict):
        return set()
    lists = [each for each in grudge.values() if isinstance(each, list)]
    return {*grudge, *(node for each in lists for node in each)}


def _check_together(strike: Strike, before: Sequence[Strike], count: int, budget: int) -> None:
    """Nothing may be in the way of what strikes at the same time, or might if a trigger is late."""
    parse([*(other.spec.name for other in before), strike.spec.name])
    meanwhile = [other for other in before if other.meets(strike)]
    for other in meanwhile:
        if other.spec.name == strike.spec.name:
            raise ValueError(f"{strike.spec.name} strikes again before it has healed")
        if strike.spec.clashes([other.spec]):
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
    """How long after `at` it heals at the latest; what the healing itself takes is not counted."""
    waits = step.within if step.after else 0.0
    return waits + (step.within if step.for_s is None else step.for_s)


def _drawn(fault: Fault, step: Step, rng: Random) -> dict[str, Any]:
    """The settings that the seed draws; the usual ones, where those do not fit what is given."""
    drawn, given = fault.draw(rng), _own(step)
    try:
        fault.filled(drawn | given, rng)
    except ValueError:
        return fault.filled(given, rng)
    return drawn


def _ops(step: Step, spec: FaultSpec, rng: Random) -> list[PlannedOp]:
    """The injection, then the steps after it, spread over the time until it heals."""
    fault = spec.fault
    value = {"seed": rng.getrandbits(32), **_drawn(fault, step, rng), **step.with_}
    if step.nodes:
        value["targets"] = list(step.nodes)
    elif spec.targets:
        value["spec"] = spec.targets[0]
    if step.after is not None:
        value["after"] = {"event": step.after, "within_s": step.within}
    at_ns = int(step.at * 1e9)
    first, *later = fault.steps
    ops = [PlannedOp(at_ns, fault.name, first, value)]
    for f in later:
        wait: dict[str, Any] = (
            {"after": {"event": step.until, "within_s": step.within}}
            if step.for_s is None
            else {"hold_s": step.for_s / len(later)}
        )
        ops.append(PlannedOp(at_ns, fault.name, f, wait))
    return ops
