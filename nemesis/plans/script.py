"""
Faults written down instead of drawn: a small YAML file, checked before anything runs.

    faults:
      - fault: partition:leader   # a fault, with its target after the colon
        at: 5                     # seconds from the start of the run, or such as 1m30s
        until: leader-changed     # heal once this was seen (`for: 4`: heal after 4 s)
        within: 10                # and after 10 s at the latest
      - fault: kill
        nodes: [n2]               # or the very nodes
        at: 5
        after: leader-changed     # strike only once this was seen
        for: 2
        with: {count: 1}          # settings of the fault

A plan may also say what clients do (`operations.py`); it needs no faults then.

What the file leaves open is drawn from the seed of the run: the same file with the same seed
gives the same operations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random
from typing import Any

import msgspec

from dissever.harness.cluster.backends import Backend
from dissever.harness.names import NODES_MAX, strangers
from dissever.harness.options import unknown
from dissever.harness.plan import LIMITS
from dissever.harness.values import plain, quoted
from dissever.nemesis.fault import Fault, FaultSpec
from dissever.nemesis.faults import parse, without_target
from dissever.nemesis.parameters import GRUDGE, check_count, check_seed
from dissever.nemesis.plans.document import Item, in_seconds, read_document
from dissever.nemesis.plans.operations import ClientOp, wrong_operation
from dissever.nemesis.plans.replay import Schedule, compile_schedule, is_schedule, read_schedule
from dissever.nemesis.plans.schedule import PlannedOp
from dissever.nemesis.plans.triggers import wish
from dissever.nemesis.targets import minority_size

__all__ = ["Script", "Step", "compile_script", "read_script"]

WITHIN_S = 10.0

NS_S = 1e-9
"""The sum of two times may be off by less: 0.1 + 0.2 is more than 0.3."""

SECONDS_MAX = LIMITS["time_limit_s"][1]


class Step(msgspec.Struct, frozen=True, omit_defaults=True, rename={"for_s": "for"}):
    """One fault, from when it strikes to when it heals. Times in seconds."""

    fault: str
    at: float
    for_s: float | None = None
    until: str | dict[str, Any] | None = None
    after: str | dict[str, Any] | None = None
    within: float = WITHIN_S
    nodes: tuple[str, ...] = ()
    with_: dict[str, Any] = msgspec.field(default={}, name="with")


@dataclass(frozen=True, slots=True)
class Field:
    """What a fault of the file may say under one name: in words, and whether a value is that."""

    accepts: str
    is_valid: Callable[[Any], bool]


def _is_seconds(value: Any, *, least: float = 0.0) -> bool:
    return type(value) in (int, float) and least <= value <= SECONDS_MAX


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_EVENT = Field(
    "as the name of an event, or as a mapping with event",
    lambda value: _is_text(value) or isinstance(value, dict),
)
_LENGTH = Field(
    f"of more than 0 and up to {SECONDS_MAX:g} seconds", partial(_is_seconds, least=1e-9)
)

FIELDS: Mapping[str, Field] = {
    "fault": Field("as the name of a fault", _is_text),
    "at": Field(f"from 0 to {SECONDS_MAX:g} seconds", _is_seconds),
    "for": _LENGTH,
    "until": _EVENT,
    "after": _EVENT,
    "within": _LENGTH,
    "nodes": Field(
        "as a list of names of nodes",
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_text, value)),
    ),
    "with": Field("as a mapping of settings", lambda value: isinstance(value, dict)),
}
"""Of each fault of the file, by name."""


@dataclass(frozen=True, slots=True)
class Script:
    """
    What a file says.

    `places`: for each fault the line of its beginning, as that of ``, and of each of its fields.
    `budget`: at most this many nodes down at a time; None: a minority. `operations`: what clients
    do instead of the workload's operations; None: those. `final`: whether they read at the end.
    """

    faults: tuple[Step, ...]
    places: tuple[Mapping[str, int], ...]
    budget: int | None = None
    operations: tuple[ClientOp, ...] | None = None
    final: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its faults."""
        return tuple(dict.fromkeys(without_target(step.fault) for step in self.faults))


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


@lru_cache(maxsize=8)  # A run asks for the same text several times.
def read_script(text: str) -> Script | Schedule:
    """
    Read a script, or the schedule of a recorded run.

    Raises:
        ValueError: When it is none; the message has a line for each error, with what was expected,
            what came, and the line of the file.
    """
    if is_schedule(text):
        return read_schedule(text)
    root = read_document(text)
    if not isinstance(root.value, Mapping):
        raise ValueError(f"line {root.line}: expected a mapping with faults, got {root.kind}")
    errors = _unknown(root, ("faults", "budget", "operations", "final"))
    budget, faults = root.value.get("budget"), root.value.get("faults")
    operations, final = root.value.get("operations"), root.value.get("final")
    if operations is not None:
        operations = _each(operations, lambda each: in_seconds(each, "at"))
    if faults is not None:
        faults = _each(faults, _fault_in_seconds)
    if budget is not None and (type(budget.value) is not int or not 0 <= budget.value <= NODES_MAX):
        errors.append(
            f"line {budget.line}: expected budget as a whole number from 0 to {NODES_MAX},"
            f" got {budget.kind}"
        )
    if final is not None and type(final.value) is not bool:
        errors.append(f"line {final.line}: expected final as true or false, got {final.kind}")
    if operations is not None:
        errors += _wrong_operations(operations)
    if faults is None and operations is not None:
        faults = Item((), root.line)
    is_optional = operations is not None
    if faults is None or not isinstance(faults.value, tuple) or not (faults.value or is_optional):
        line, got = (root.line, "none") if faults is None else (faults.line, faults.kind)
        empty = "an empty list" if faults is not None and faults.value == () else got
        raise ValueError(
            "\n".join([*errors, f"line {line}: expected a list of faults, got {empty}"])
        )
    for item in faults.value:
        errors += _wrong(item)
    if errors:
        raise ValueError("\n".join(errors))
    return Script(
        tuple(msgspec.convert(each.plain, Step) for each in faults.value),
        tuple(_places(each) for each in faults.value),
        None if budget is None else budget.value,
        None if operations is None else msgspec.convert(operations.plain, tuple[ClientOp, ...]),
        final is None or final.value,
    )


def _each(item: Item, change: Callable[[Item], Item]) -> Item:
    """A list with each element changed; what is no list stays."""
    if not isinstance(item.value, tuple):
        return item
    return Item(tuple(map(change, item.value)), item.line)


def _fault_in_seconds(item: Item) -> Item:
    """A fault with its durations in seconds, also those of the events that it waits for."""
    item = in_seconds(item, "at", "for", "within")
    if not isinstance(item.value, Mapping):
        return item
    events = ("after", "until")
    return Item(
        {
            name: in_seconds(each, "delay") if name in events else each
            for name, each in item.value.items()
        },
        item.line,
    )


def _wrong_operations(item: Item) -> list[str]:
    """An error for each operation that is wrong."""
    if not isinstance(item.value, tuple):
        return [f"line {item.line}: expected a list of operations, got {item.kind}"]
    return [error for each in item.value for error in wrong_operation(each)]


def _unknown(item: Item, names: Collection[str]) -> list[str]:
    """An error for each name that means nothing."""
    return [
        f"line {each.line}: {unknown('field', name, names)}"
        for name, each in item.value.items()
        if name not in names
    ]


def _wrong(item: Item) -> list[str]:
    """An error for each field of a fault that is none, is missing, or has no value that it may."""
    if not isinstance(item.value, Mapping):
        return [f"line {item.line}: expected a mapping with fault and at, got {item.kind}"]
    errors = _unknown(item, FIELDS)
    errors += [
        f"line {item.line}: expected {name} of the fault, got none"
        for name in ("fault", "at")
        if name not in item.value
    ]
    errors += [
        f"line {each.line}: expected {name} {FIELDS[name].accepts}, got {each.kind}"
        for name, each in item.value.items()
        if name in FIELDS and not FIELDS[name].is_valid(each.plain)
    ]
    return errors


def _places(item: Item) -> Mapping[str, int]:
    """The line of a fault, of its fields, and of its settings as `with.ms`."""
    places = {"": item.line} | {name: each.line for name, each in item.value.items()}
    if "with" in item.value:
        places |= {f"with.{name}": each.line for name, each in item.value["with"].value.items()}
    return places


def compile_script(
    script: Script | Schedule,
    *,
    nodes: Sequence[str],
    seed: int,
    time_limit_s: float,
    budget: int | None = None,
    backend: Backend = Backend.NAMESPACES,
) -> tuple[PlannedOp, ...]:
    """
    The operations of a script, in the order of their offsets.

    Args:
        budget: At most this many nodes are down at a time; None: what the script says, or a
            minority.
        backend: Where the nodes run: some faults have other settings on simulated hosts.

    Raises:
        ValueError: For a fault, target, trigger, setting or node that there is not, a fault that
            never heals, or does not fit the nodes, the budget or the time. The message has a line
            for each fault that is wrong, with its line in the file.
    """
    if isinstance(script, Schedule):
        return compile_schedule(script, nodes=nodes, time_limit_s=time_limit_s, backend=backend)
    if budget is None:
        budget = minority_size(len(nodes)) if script.budget is None else script.budget
    ops: list[PlannedOp] = []
    before: list[Strike] = []
    errors: list[str] = []
    for number, (step, places) in enumerate(
        zip(script.faults, script.places, strict=True), start=1
    ):
        wrong = list(_checked(step, nodes, budget, time_limit_s, backend))
        if not wrong:
            (spec,) = parse([step.fault], backend)
            strike = Strike(f"line {places['']} ({step.fault})", step, spec)
            try:
                _check_together(strike, before, len(nodes), budget)
            except ValueError as error:
                wrong = [("", str(error))]
            before.append(strike)
            ops += _ops(step, spec, Random(f"{seed}/script/{number}"))
        errors += [
            f"line {places.get(field, places[''])} ({plain(step.fault)}): {message}"
            for field, message in wrong
        ]
    if errors:
        raise ValueError("\n".join(errors))
    return tuple(sorted(ops, key=lambda op: op.offset_ns))


def _checked(
    step: Step, nodes: Sequence[str], budget: int, time_limit_s: float, backend: Backend
) -> Iterator[tuple[str, str]]:
    """All that is wrong with a fault by itself: the field, and what was expected."""
    try:
        (spec,) = parse([step.fault], backend)
    except ValueError as error:
        yield "fault", str(error)
        return
    if step.nodes and spec.targets:
        yield "nodes", "expected a target after the colon or nodes, got both"
    if lack := strangers(step.nodes, nodes):
        yield "nodes", lack
    if step.nodes and spec.fault.takes_down and len(step.nodes) > budget:
        yield "nodes", f"would stop {len(step.nodes)} nodes, and the budget allows {budget}"
    if not step.nodes:
        try:
            spec.fitting(len(nodes), budget)
        except ValueError as error:
            yield "fault", str(error)
    for name in ("after", "until"):
        said = getattr(step, name)
        if said is not None:
            try:
                wish(said, step.within)
            except ValueError as error:
                yield name, str(error)
    if (step.for_s is None) == (step.until is None):
        yield "", "expected either for or until, so that it heals"
    elif step.at + _length_s(step) > time_limit_s + NS_S:
        end = f"{step.at + _length_s(step):g} s"
        yield "at", f"may heal only at {end}, after the time limit of {time_limit_s:g} s"
    yield from _settings(step, spec, nodes)


def _settings(step: Step, spec: FaultSpec, nodes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What a fault has under `with` must be parameters of it, in their ranges."""
    known = {each.name: each for each in spec.fault.parameters}
    is_wrong = False
    for name, value in step.with_.items():
        try:
            if name == "count":
                check_count(value, nodes)
            elif name == "seed":
                check_seed(value)
            elif name in known:
                known[name].check(value)
            else:
                names = ", ".join((*known, "count", "seed"))
                raise ValueError(f"expected {names} under with, got {quoted(name)}")
        except ValueError as error:
            is_wrong = True
            yield f"with.{name}", str(error)
    if lack := strangers(_named(step), nodes):
        is_wrong = True
        yield "with.grudge", lack
    if not is_wrong:
        try:
            spec.fault.filled(_own(step), Random(0))
        except ValueError as error:
            yield "with", str(error)


def _own(step: Step) -> dict[str, Any]:
    """What it says under `with` of the parameters of its fault."""
    return {name: step.with_[name] for name in step.with_ if name not in ("count", "seed")}


def _named(step: Step) -> set[str]:
    """The nodes that the cuts of a fault name."""
    grudge = step.with_.get(GRUDGE)
    if not isinstance(grudge, dict):
        return set()
    lists = [each for each in grudge.values() if isinstance(each, list)]
    return {*grudge, *(node for each in lists for node in each if isinstance(node, str))}


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
                f"with {others} it would stop {down} nodes, and the budget allows {budget}"
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
        value["after"] = wish(step.after, step.within)
    at_ns = round(step.at * 1e9)
    first, *later = fault.steps
    ops = [PlannedOp(at_ns, fault.name, first, value)]
    for f in later:
        wait: dict[str, Any] = (
            {"hold_s": (step.for_s or 0.0) / len(later)}
            if step.until is None
            else {"after": wish(step.until, step.within)}
        )
        ops.append(PlannedOp(at_ns, fault.name, f, wait))
    return ops
