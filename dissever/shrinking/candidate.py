"""
A run that may be tried: its options, with the faults and the operations as lists of parts.

Everything that a candidate leaves out stays out of its plan, so the smallest one is a plan that
anyone can run. The first candidate repeats a recorded run: the faults at their times, on the very
nodes that were struck, and the invocations of the clients, at their times.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from dissever.harness.history import Event, Type
from dissever.harness.plan import LIMITS, Options
from dissever.harness.vocabulary import END_OF_RUN
from dissever.nemesis.fault import Fault
from dissever.nemesis.faults import FAULTS, without_target
from dissever.nemesis.parameters import GRUDGE
from dissever.nemesis.plans.document import CHARS_MAX
from dissever.nemesis.plans.operations import ClientOp
from dissever.nemesis.plans.replay import read_schedule
from dissever.nemesis.plans.script import Script, Step, read_script
from dissever.nemesis.plans.triggers import HOLD_LEAST_S, WAITS

__all__ = [
    "Candidate",
    "Size",
    "first_candidate",
    "operations_of",
    "planned_candidate",
    "steps_of",
]

_NEVER_NS: Final = 1 << 62
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]*")
"""Texts that need no quotes in YAML; words such as `yes` get them all the same."""

_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Size(msgspec.Struct, frozen=True):
    """How large a candidate is; `operations` None: as many as the workload draws."""

    faults: int
    nodes: int
    clients: int
    keys: int | None
    operations: int | None
    seconds: float


class Candidate(msgspec.Struct, frozen=True):
    """
    A run that may be tried.

    `options` are without faults, which are `faults`. `operations`: what clients do; None: what the
    workload draws. `final`: whether they read at the end. `budget`: how many nodes may be down.
    """

    options: Options
    faults: tuple[Step, ...]
    operations: tuple[ClientOp, ...] | None
    final: bool
    budget: int

    @property
    def asked(self) -> Options:
        """The options of a run that tries it."""
        names = tuple(dict.fromkeys(without_target(step.fault) for step in self.faults))
        script = self._json() if self.faults or self.operations is not None else ""
        return msgspec.structs.replace(self.options, faults=names, script=script)

    @property
    def digest(self) -> str:
        """What it is, whatever its seed is."""
        seedless = msgspec.structs.replace(self.options, seed=0)
        value = msgspec.structs.replace(self, options=seedless)
        return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]

    @property
    def size(self) -> Size:
        """How large it is."""
        ops = self.operations
        return Size(
            faults=len(self.faults),
            nodes=len(self.options.nodes),
            clients=self.options.concurrency if ops is None else len({op.client for op in ops}),
            keys=None if ops is None else len(keys_of(ops)),
            operations=None if ops is None else len(ops),
            seconds=self.options.time_limit_s,
        )

    def with_seed(self, seed: int) -> Candidate:
        """The same, with everything that a plan leaves open drawn from another seed."""
        return self.changed(seed=seed)

    def changed(self, **options: Any) -> Candidate:
        """The same with other options."""
        changed = msgspec.structs.replace(self.options, **options)
        return msgspec.structs.replace(self, options=changed)

    def until(self, end_s: float) -> Candidate:
        """The same until then: what begins later is left out, what lasts longer ends."""
        limit_s = round(min(self.options.time_limit_s, end_s), 9)
        faults = tuple(
            step
            if step.for_s is None or step.at + step.for_s <= limit_s
            else msgspec.structs.replace(step, for_s=round(limit_s - step.at, 9))
            for step in self.faults
            if step.at < limit_s
        )
        ops = self.operations
        if ops is not None:
            ops = tuple(op for op in ops if op.at < limit_s)
        cut = msgspec.structs.replace(self, faults=faults, operations=ops)
        return cut.changed(time_limit_s=limit_s)

    def since(self, start_s: float) -> Candidate:
        """What goes on after a time; faults that are in force then strike at the start."""
        faults = []
        for step in self.faults:
            begins_s = max(0.0, round(step.at - start_s, 9))
            if step.for_s is None and step.at >= start_s:
                faults.append(msgspec.structs.replace(step, at=begins_s))
            elif step.for_s is not None and step.at + step.for_s > start_s:
                left_s = round(step.at + step.for_s - start_s - begins_s, 9)
                faults.append(msgspec.structs.replace(step, at=begins_s, for_s=left_s))
        ops = self.operations
        if ops is not None:
            ops = tuple(
                msgspec.structs.replace(op, at=round(op.at - start_s, 9))
                for op in ops
                if op.at >= start_s
            )
        limit_s = max(LIMITS["time_limit_s"][0], round(self.options.time_limit_s - start_s, 9))
        left = msgspec.structs.replace(self, faults=tuple(faults)).changed(time_limit_s=limit_s)
        return left if ops is None else left.doing(ops)

    def doing(self, ops: Sequence[ClientOp]) -> Candidate:
        """With these operations alone, by clients that are counted from 0 without a gap."""
        numbers = {client: n for n, client in enumerate(sorted({op.client for op in ops}))}
        renumbered = tuple(msgspec.structs.replace(op, client=numbers[op.client]) for op in ops)
        changed = msgspec.structs.replace(self, operations=renumbered)
        return changed.changed(concurrency=max(1, len(numbers)))

    def _json(self) -> str:
        """The plan for programs: it is read a hundred times as fast as YAML."""
        return msgspec.json.encode(dict(self._document())).decode()

    def _document(self) -> Iterator[tuple[str, Any]]:
        yield "budget", self.budget
        yield "faults", self.faults
        if self.operations is not None:
            yield "operations", self.operations
        if not self.final:
            yield "final", False

    def yaml(self) -> str:
        """The plan for people: a line for each fault and each operation."""
        lines = [f"budget: {self.budget}"] if self.faults else []
        lines += ["faults:" if self.faults else "faults: []"]
        lines += [f"  - {_flow(msgspec.to_builtins(step))}" for step in self.faults]
        if self.operations is not None:
            lines += ["operations:" if self.operations else "operations: []"]
            lines += [f"  - {_flow(msgspec.to_builtins(op))}" for op in self.operations]
        if not self.final:
            lines.append("final: false")
        return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_flow(name)}: {_flow(each)}" for name, each in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)


def keys_of(ops: Sequence[ClientOp]) -> tuple[Any, ...]:
    """The keys of operations, also those of micro-operations, each once."""
    found: dict[Any, None] = {}
    for op in ops:
        if op.key is not None:
            found[op.key] = None
        found.update(dict.fromkeys(each[1] for each in micro_operations(op)))
    return tuple(found)


def micro_operations(op: ClientOp) -> tuple[list[Any], ...]:
    """Those of a transaction: lists of a name, a key and a value; () for any other operation."""
    value = op.value
    if not isinstance(value, list | tuple) or not value:
        return ()
    is_transaction = all(
        isinstance(each, list | tuple)
        and len(each) == 3
        and isinstance(each[0], str)
        and isinstance(each[1], int | str)
        for each in value
    )
    return tuple(list(each) for each in value) if is_transaction else ()


def first_candidate(
    options: Options,
    *,
    schedule: str,
    events: Sequence[Event],
    budget: int,
    are_named: bool = True,
) -> Candidate:
    """
    A recorded run as a candidate.

    Args:
        schedule: The text of its `schedule.jsonl`, or empty.
        events: Its history.
        budget: How many nodes it could have down at a time.
        are_named: As for `steps_of`.

    Raises:
        ValueError: When the schedule is none.
    """
    asked = msgspec.structs.replace(options, faults=(), script="", script_path="")
    ops = operations_of(events, options.concurrency)
    steps = steps_of(schedule, options.time_limit_s, are_named=are_named)
    candidate = Candidate(asked, steps, ops, True, budget)
    if len(candidate.asked.script) > CHARS_MAX:
        return msgspec.structs.replace(candidate, operations=None)
    return candidate


def planned_candidate(options: Options, *, budget: int) -> Candidate | None:
    """
    A run that a plan describes, as a candidate: it is that plan. None where the run had none.

    Args:
        budget: How many nodes it could have down at a time, where the plan does not say it.
    """
    script = read_script(options.script) if options.script else None
    if not isinstance(script, Script):
        return None
    asked = msgspec.structs.replace(options, faults=(), script="", script_path="")
    own = budget if script.budget is None else script.budget
    return Candidate(asked, script.faults, script.operations, script.final, own)


def operations_of(events: Sequence[Event], concurrency: int) -> tuple[ClientOp, ...]:
    """What clients did until the end of the run began."""
    ops: list[ClientOp] = []
    for event in events:
        if event.process in END_OF_RUN:
            break
        if event.type is Type.INVOKE and isinstance(event.process, int):
            client = event.process % concurrency
            value = msgspec.to_builtins(event.value)
            at_s = event.time / 1e9
            ops.append(ClientOp(at_s, client, event.f, event.key, value, event.node))
    return tuple(ops)


class _Line(msgspec.Struct, frozen=True):
    """What counts of an event of a fault."""

    time: int
    process: str
    type: str
    f: str
    value: Any = None


def steps_of(schedule: str, time_limit_s: float, *, are_named: bool = True) -> tuple[Step, ...]:
    """
    The faults of a recorded run as those of a plan: when they struck, whom, and for how long.

    Args:
        are_named: They strike the very nodes that were struck. False: whom they were asked to
            strike, such as the leader; looking for it takes time, so that such a plan alone has the
            history of the recorded run.

    Raises:
        ValueError: When the text is no schedule.
    """
    if not schedule.strip():
        return ()
    limit_ns = round(time_limit_s * 1e9)
    lines = [
        line
        for line in msgspec.json.Decoder(_Line).decode_lines(schedule)
        if line.process not in END_OF_RUN
    ]
    if not lines:
        return ()
    struck = {
        (op.process, op.offset_ns): op.value
        for op in read_schedule(schedule).ops
        if op.f == FAULTS[op.process].steps[0]
    }
    found: list[Step] = []
    for place, line in enumerate(lines):
        first, *_, last = (fault := FAULTS[line.process]).steps
        if line.f != first or line.type != "invoke" or line.time >= limit_ns:
            continue
        own = [each for each in lines[place + 1 :] if each.process == line.process]
        begun_ns = next((e.time for e in own if e.f == first and e.type != "invoke"), line.time)
        healed = [each for each in own if each.f == last]
        end_ns = min(_heals_at(healed, begun_ns), limit_ns)
        for_s = max(end_ns - begun_ns, 1_000_000) / 1e9
        value = struck.get((line.process, line.time), line.value) if are_named else line.value
        found.append(_step(fault, line.time / 1e9, for_s, value))
    return tuple(found)


def _heals_at(healed: Sequence[_Line], begun_ns: int) -> int:
    """
    When a fault began to heal, given the events of its healing.

    A healing that waits for something is asked for at once, and may still wait when the run ends;
    one without a value waits until the fault was in force for a while.
    """
    if not healed:
        return _NEVER_NS
    asked = healed[0]
    if isinstance(asked.value, Mapping) and asked.value.keys() & set(WAITS):
        held_s = asked.value.get("hold_s")
        late_ns = _NEVER_NS if held_s is None else begun_ns + round(held_s * 1e9)
        return next((each.time for each in healed if each.type != "invoke"), late_ns)
    return max(asked.time, begun_ns + round(HOLD_LEAST_S * 1e9))


def _step(fault: Fault, at_s: float, for_s: float, value: Any) -> Step:
    fields = dict(value) if isinstance(value, Mapping) else {}
    for name in WAITS:
        fields.pop(name, None)
    spec, targets = fields.pop("spec", None), fields.pop("targets", None)
    name = fault.name
    nodes: tuple[str, ...] = ()
    if isinstance(targets, list | tuple):
        nodes = tuple(map(str, targets))
        fields.pop("count", None)
    elif GRUDGE not in fields and (word := targets or spec) in fault.targets:
        name = f"{fault.name}:{word}"
    return Step(name, at_s, for_s=round(for_s, 9), nodes=nodes, with_=fields)
