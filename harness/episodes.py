"""
How long each fault was in force: the episodes of a history.

An episode is a fault in force: an injection, the operations that carry it on, and the healing that
ends it. It lasts from the completion of the injection to the completion of the healing, for only a
completion says that something was observed: before it the fault need not have taken hold, and up
to it the fault need not have ended. One that nothing healed lasts to the end of the run.

Runs of ours declare the role of every operation in their plan. A history from elsewhere is read by
the names that are usual in the field (`vocabulary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dissever.harness.actions import Action, Actions, Effect, Role
from dissever.harness.history import Event, Operation, Process, Type
from dissever.harness.recovery_names import RECOVERY
from dissever.harness.values import show, show_ns
from dissever.harness.vocabulary import Reading, read_names

__all__ = [
    "Action",
    "Actions",
    "Effect",
    "Episode",
    "Episodes",
    "Mark",
    "NodeChange",
    "Role",
    "doubt_of",
    "episodes_of",
    "evidence",
    "report_of",
    "targets",
]


@dataclass(frozen=True, slots=True)
class Episode:
    """A fault in force; `end_ns` is the end of the run when `healing` is None."""

    fault: str
    injection: Operation
    start_ns: int
    end_ns: int
    continuations: tuple[Operation, ...] = ()
    healing: Operation | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes that it struck, as its injection says."""
        return targets(self.injection)

    @property
    def has_held(self) -> bool:
        """Whether it was seen from outside that it took hold."""
        return evidence(self.injection).get("held") is True

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it was in force at some time in between, ends included."""
        return self.start_ns <= end_ns and self.end_ns >= start_ns


@dataclass(frozen=True, slots=True)
class Mark:
    """An operation that starts and ends nothing, to be shown as a point in time."""

    fault: str
    operation: Operation
    role: Role | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What a fault, or its healing, did to the process of a node."""

    time_ns: int
    node: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Episodes:
    """
    What the nemeses of a run did, each part by time.

    `operations` are those of faults with their roles, `recovery` those that ask whether the system
    has come back. `marks` hold those, and the continuations of episodes, too.
    """

    episodes: tuple[Episode, ...] = ()
    marks: tuple[Mark, ...] = ()
    operations: tuple[tuple[Operation, Role | None], ...] = ()
    recovery: tuple[Operation, ...] = ()
    changes: tuple[NodeChange, ...] = ()

    @property
    def injected(self) -> tuple[str, ...]:
        """The names of the faults that were in force, in order of first appearance."""
        return tuple(dict.fromkeys(episode.fault for episode in self.episodes))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of episodes and marks, in order of first appearance."""
        seen = [(episode.start_ns, episode.fault) for episode in self.episodes]
        seen += [(mark.time_ns, mark.fault) for mark in self.marks]
        return tuple(dict.fromkeys(fault for _, fault in sorted(seen)))

    @property
    def down(self) -> dict[str, Effect]:
        """The nodes whose processes do not run in the end, with what was done to them."""
        last = {change.node: change.effect for change in self.changes}
        up = (Effect.STARTED, Effect.RESUMED)
        return {node: effect for node, effect in last.items() if effect not in up}


def episodes_of(
    operations: Sequence[Operation], actions: Actions | None = None, *, end_ns: int
) -> Episodes:
    """
    Pair each injection with the next healing of the same fault.

    One healing ends every episode of its fault that is in force. An injection that failed for
    certain or struck nobody, and a healing that ends nothing, are marks. Operations of the process
    `recovery` need not be declared.

    Args:
        operations: Those of the nemeses (`History.faults`), by invocation.
        actions: As the plan declares them. A nemesis without any is read by its names.
        end_ns: The end of the run.
    """
    readings = _readings(operations, actions or {})
    builder = _Builder(end_ns)
    for operation in operations:
        builder.add(operation, readings[operation.process][operation.f])
    return builder.built()


def report_of(operation: Operation) -> Event | None:
    """The event that says how an operation went, which may stand alone elsewhere, or None."""
    alone = operation.invocation if operation.invocation.type is not Type.INVOKE else None
    return operation.completion or alone


def targets(operation: Operation) -> tuple[str, ...]:
    """The nodes that an operation says it struck; empty when it names none."""
    named = _value(operation).get("targets", ())
    if isinstance(named, str):
        return (named,)
    return tuple(str(node) for node in named) if isinstance(named, (list, tuple, Mapping)) else ()


def evidence(operation: Operation) -> Mapping[str, Any]:
    """What was observed from outside when the operation completed; empty without."""
    observed = _value(operation).get("evidence")
    return observed if isinstance(observed, Mapping) else {}


def doubt_of(operation: Operation, role: Role | None) -> str | None:
    """Why an operation is not believed to have done what it is for, in words, or None."""
    begin = f"{operation.f} ({operation.process}) at {show_ns(operation.invocation.time)}"
    event = report_of(operation)
    if event is None:
        return f"{begin} never completed"
    error = "" if event.error is None else f": {show(event.error)}"
    awaited = _value(operation).get("awaited", {})
    if awaited.get("seen") is False:
        return f"{begin} came too early: {awaited['event']} was not seen{error}"
    seen = evidence(operation)
    if seen.get("healed" if "healed" in seen else "held") is True:
        return None
    verb = "healed" if role is Role.HEAL else "took hold"
    return f"{begin} has no evidence that it {verb}{error}"


@dataclass(slots=True)
class _Builder:
    """The episodes up to some operation; `lasting` are those that nothing healed yet."""

    end_ns: int
    lasting: dict[str, list[Episode]] = field(default_factory=dict)
    closed: list[Episode] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    operations: list[tuple[Operation, Role | None]] = field(default_factory=list)
    recovery: list[Operation] = field(default_factory=list)
    changes: list[NodeChange] = field(default_factory=list)

    def add(self, operation: Operation, reading: Reading) -> None:
        """Take in the next operation."""
        action, fault = reading.action, reading.faults[0]
        role = action.role if action else None
        event = report_of(operation)
        if role is Role.RECOVER:
            self.recovery.append(operation)
        else:
            self.operations.append((operation, role))
        if action and action.effect and event and event.type is not Type.FAIL:
            self.changes += [
                NodeChange(event.time, node, action.effect) for node in targets(operation)
            ]
        time_ns = (event or operation.invocation).time
        ended = [each for of in reading.faults for each in self.lasting.get(of, ())]
        if role is Role.INJECT and _may_have_struck(operation):
            episode = Episode(fault, operation, time_ns, max(time_ns, self.end_ns))
            self.lasting.setdefault(fault, []).append(episode)
        elif role is Role.HEAL and event and event.type is not Type.FAIL and ended:
            for episode in ended:
                end_ns = max(episode.start_ns, time_ns)
                self.closed.append(replace(episode, end_ns=end_ns, healing=operation))
                self.lasting[episode.fault].remove(episode)
        else:
            self.marks.append(Mark(fault, operation, role, time_ns))
            if role is Role.CONTINUE and ended:
                last = self.lasting[fault].pop()
                steps = (*last.continuations, operation)
                self.lasting[fault].append(replace(last, continuations=steps))

    def built(self) -> Episodes:
        """All of them, by time."""
        found = [*self.closed, *(episode for left in self.lasting.values() for episode in left)]
        return Episodes(
            tuple(sorted(found, key=lambda each: (each.start_ns, each.injection.invocation.index))),
            tuple(sorted(self.marks, key=lambda mark: mark.time_ns)),
            tuple(self.operations),
            tuple(self.recovery),
            tuple(sorted(self.changes, key=lambda change: change.time_ns)),
        )


def _readings(
    operations: Sequence[Operation], actions: Actions
) -> dict[Process, dict[str, Reading]]:
    """Process -> `f` -> what it is for."""
    names: dict[Process, dict[str, None]] = {}
    for operation in operations:
        names.setdefault(operation.process, {})[operation.f] = None
    return {
        process: _read(str(process), tuple(of_process), actions)
        for process, of_process in names.items()
    }


def _read(process: str, names: Sequence[str], actions: Actions) -> dict[str, Reading]:
    if process == RECOVERY:
        return dict.fromkeys(names, Reading((process,), Action(Role.RECOVER)))
    declared = actions.get(process)
    if declared is None:
        return read_names(process, names)
    return {name: Reading((process,), declared.get(name)) for name in names}


def _value(operation: Operation) -> Mapping[str, Any]:
    event = report_of(operation)
    return event.value if event and isinstance(event.value, Mapping) else {}


def _may_have_struck(operation: Operation) -> bool:
    """Whether an injection may have struck: it says so, or says nothing."""
    event = report_of(operation)
    if event and event.type is Type.FAIL:
        return False
    is_aimless = "targets" in _value(operation) and not targets(operation)
    return not is_aimless or evidence(operation).get("held") is True
