"""
How long each fault was in force: the episodes of a history.

An episode is a fault in force: an injection, the operations that carry it on, and the healing that
ends it. It starts when its injection completes, because nothing shows before that it took hold. It
ends when its healing completes, because until then it may still be in force. An injection that
never completed starts its episode at once, and without a healing it lasts to the end of the run.
A nemesis from elsewhere may record two events of one kind instead of a question and its answer, as
Jepsen's does: then the fault ends at the first, up to which it was surely in force.

Plans of ours declare the role of every operation. A history from elsewhere declares none: then the
names of the operations say what they are for (`vocabulary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dissever.harness.history import Event, History, Operation, Process, Type
from dissever.harness.values import listed, show, show_ns
from dissever.harness.vocabulary import END_OF_RUN, MAJORITY_ONLY, RECOVERY, Reading, read_names
from dissever.harness.vocabulary import PROGRESS as PROGRESS
from dissever.harness.vocabulary import WAITED_FOR as WAITED_FOR
from dissever.harness.vocabulary import Action as Action
from dissever.harness.vocabulary import Actions as Actions
from dissever.harness.vocabulary import Effect as Effect
from dissever.harness.vocabulary import Role as Role


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
    def is_strike(self) -> bool:
        """Whether it is a fault, and not a cut that belongs to the end of a run."""
        return self.injection.process not in END_OF_RUN

    @property
    def has_held(self) -> bool:
        """
        Whether it was seen from outside that it took hold, and that it was not idle.

        One that is seen to be gone before it heals has not held.
        """
        lapsed = self.healing is not None and lapse_of(self.healing) is not None
        return is_shown(self.injection) is True and not lapsed and not self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether nothing met the fault while it was in force, as its healing says."""
        return self.healing is not None and bool(evidence(self.healing).get("idle"))

    @property
    def is_as_asked(self) -> bool:
        """Whether it struck what was asked for, such as a leader, and not another node instead."""
        both = (self.injection, *([self.healing] if self.healing else []))
        return all(evidence(each).get("as_asked") is not False for each in both)

    @property
    def left(self) -> tuple[str, ...]:
        """The nodes that it struck and that its healing does not name; all without a healing."""
        healed = () if self.healing is None else targets(self.healing)
        return tuple(node for node in self.targets if node not in healed)

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it was in force at some time in between, ends included."""
        return self.start_ns <= end_ns and self.end_ns >= start_ns


@dataclass(frozen=True, slots=True)
class Mark:
    """An operation that neither starts nor ends an episode: a point in time."""

    fault: str
    operation: Operation
    role: Role | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Step:
    """
    A step of the end of a run, which is no fault: a question of the recovery, or a cut for one.

    A question lasts from its invocation to its completion, or to the end of the run without one. A
    cut lasts as an episode does; its `operations` are its injection and its healing.
    """

    name: str
    operations: tuple[Operation, ...]
    start_ns: int
    end_ns: int

    @property
    def is_cut(self) -> bool:
        """Whether it cut nodes off, and asked for nothing."""
        return self.operations[0].process == MAJORITY_ONLY

    @property
    def skipped(self) -> str | None:
        """Why there was nothing to ask, as the harness says; None when it says no such thing."""
        reason = report(self.operations[0]).get("skipped")
        return None if reason is None else str(reason)


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

    `episodes` are all that was in force, with the cut of the end of the run; `strikes` are those of
    faults. `marks` are the operations of faults that neither start nor end an episode.
    `end_of_run` is what was done once the faults were to heal. `operations` are all of them, each
    with its role, which is None when nothing says what it is for.
    """

    episodes: tuple[Episode, ...]
    marks: tuple[Mark, ...]
    end_of_run: tuple[Step, ...]
    changes: tuple[NodeChange, ...]
    operations: tuple[tuple[Operation, Role | None], ...]

    @property
    def strikes(self) -> tuple[Episode, ...]:
        """The episodes of faults."""
        return tuple(each for each in self.episodes if each.is_strike)

    @property
    def faults(self) -> tuple[tuple[Operation, Role | None], ...]:
        """The operations that inject, carry on and heal, with their roles."""
        return tuple(each for each in self.operations if each[1] is not Role.RECOVER)

    @property
    def recovery(self) -> tuple[Operation, ...]:
        """The operations that ask whether the system has come back."""
        return tuple(operation for operation, role in self.operations if role is Role.RECOVER)

    @property
    def proven(self) -> tuple[Episode, ...]:
        """The strikes that have held."""
        return tuple(each for each in self.strikes if each.has_held)

    @property
    def idle(self) -> tuple[Episode, ...]:
        """The strikes that met nothing."""
        return tuple(each for each in self.strikes if each.is_idle)

    @property
    def skipped(self) -> tuple[tuple[Operation, str], ...]:
        """The strikes that the harness left out, each with its reason."""
        every = (
            (operation, skip_of(operation))
            for operation, role in self.faults
            if role is Role.INJECT and operation.process not in END_OF_RUN
        )
        return tuple((operation, reason) for operation, reason in every if reason is not None)

    @property
    def injected(self) -> tuple[str, ...]:
        """The names of the faults that were in force, in order of first appearance."""
        return tuple(dict.fromkeys(episode.fault for episode in self.strikes))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of strikes and marks, in order of first appearance."""
        seen = [(episode.start_ns, episode.fault) for episode in self.strikes]
        seen += [(mark.time_ns, mark.fault) for mark in self.marks]
        return tuple(dict.fromkeys(fault for _, fault in sorted(seen)))

    @property
    def down(self) -> dict[str, Effect]:
        """The nodes whose processes do not run in the end, with what was done to them."""
        last = {change.node: change.effect for change in self.changes}
        up = (Effect.STARTED, Effect.RESUMED)
        return {node: effect for node, effect in last.items() if effect not in up}


def episodes_of(history: History, actions: Actions | None = None) -> Episodes:
    """
    Pair each injection with the next healing of the same fault.

    One healing ends every episode of its fault that is in force. An injection that failed for
    certain or struck nobody, and a healing that ends nothing, are marks. Operations of the process
    `recovery` need not be declared.

    Args:
        actions: As the plan declares them. A nemesis without any is read by its names.
    """
    readings = _readings(history.faults, actions or {})
    read = [(each, readings[each.process][each.f]) for each in history.faults]
    pairing = _Pairing(history.duration_ns)
    changes: list[NodeChange] = []
    for operation, reading in read:
        pairing.add(operation, reading)
        changes += _changes(operation, reading.action)
    episodes = pairing.episodes()
    marks = sorted(pairing.marks, key=lambda mark: mark.time_ns)
    return Episodes(
        tuple(episodes),
        tuple(mark for mark in marks if not _is_of_the_end(mark)),
        _end_of_run(episodes, marks, history.duration_ns),
        tuple(sorted(changes, key=lambda change: change.time_ns)),
        tuple((operation, reading.role) for operation, reading in read),
    )


def report_of(operation: Operation) -> Event | None:
    """The event that says how an operation went, which may stand alone elsewhere, or None."""
    alone = operation.invocation if operation.invocation.type is not Type.INVOKE else None
    return operation.completion or alone


def report(operation: Operation) -> Mapping[str, Any]:
    """The value of that event, where it is a mapping as those of our faults are; empty if not."""
    event = report_of(operation)
    return event.value if event and isinstance(event.value, Mapping) else {}


def damages_disk(operation: Operation) -> bool:
    """Whether it says that it changed what a disk of its targets holds."""
    return report(operation).get("damages_disk") is True


def targets(operation: Operation) -> tuple[str, ...]:
    """The nodes that an operation says it struck; empty when it names none."""
    named = report(operation).get("targets", ())
    if isinstance(named, str):
        return (named,)
    return tuple(str(node) for node in named) if isinstance(named, (list, tuple, Mapping)) else ()


def is_aimless(operation: Operation) -> bool:
    """Whether it says that it struck, or healed, no node."""
    return "targets" in report(operation) and not targets(operation)


def evidence(operation: Operation) -> Mapping[str, Any]:
    """What was observed from outside when the operation completed; empty without."""
    observed = report(operation).get("evidence")
    return observed if isinstance(observed, Mapping) else {}


def is_shown(operation: Operation) -> bool | None:
    """Whether the evidence shows that a fault took hold, or healed; None when it does not say."""
    seen = evidence(operation)
    shown = seen.get("healed", seen.get("held"))
    return shown if isinstance(shown, bool) else None


def skip_of(operation: Operation) -> str | None:
    """Why an injection struck nobody, as the harness says; None when it says no such thing."""
    seen = evidence(operation)
    if "held" not in seen or seen["held"] is not None or targets(operation):
        return None
    return str(report(operation).get("skipped", "no node was meant"))


def waited_of(operation: Operation) -> int | None:
    """
    How long an operation of the recovery waited, in ns; None when it never completed.

    It may last longer than it waits: at the end it may ask each node alone.
    """
    if operation.completion is None:
        return None
    lasted_ns = operation.completion.time - operation.invocation.time
    waited_ms = report(operation).get("waited_ms")
    if not isinstance(waited_ms, int) or isinstance(waited_ms, bool):
        return lasted_ns
    return min(lasted_ns, waited_ms * 1_000_000)


def lapse_of(healing: Operation) -> str | None:
    """Why a fault is not believed to have been in force until it healed, in words, or None."""
    seen = evidence(healing)
    if "still_held" not in seen or seen["still_held"] is True:
        return None
    why = seen.get("lapsed", "it was no longer in force" if seen["still_held"] is False else "")
    why = why or "it is not known whether it was still in force"
    return f"{name_of(healing)} came too late: {why}"


def left_of(episode: Episode) -> str | None:
    """Why a strike is not believed to have healed on every node that it struck, or None."""
    if episode.healing is None:
        return f"{name_of(episode.injection)} was never healed"
    if not episode.left:
        return None
    left = listed(episode.left)
    return f"{name_of(episode.healing)} did not heal {left}, which the fault had struck"


def name_of(operation: Operation) -> str:
    """An operation of a fault in words: what, of which fault, and when."""
    return f"{operation.f} ({operation.process}) at {show_ns(operation.invocation.time)}"


def doubt_of(operation: Operation, role: Role | None) -> str | None:
    """
    Why an operation is not believed to have done what it is for, in words, or None.

    What the harness left out is not in doubt: `skip_of` says why it was.
    """
    begin = name_of(operation)
    event = report_of(operation)
    if event is None:
        return f"{begin} never completed"
    error = "" if event.error is None else f": {show(event.error)}"
    awaited = report(operation).get("awaited")
    if isinstance(awaited, Mapping) and awaited.get("seen") is False:
        return f"{begin} came too early: {awaited['event']} was not seen{error}"
    if is_shown(operation) or skip_of(operation) is not None:
        return None
    verb = "healed" if role is Role.HEAL else "took hold"
    return f"{begin} has no evidence that it {verb}{error}"


@dataclass(slots=True)
class _Pairing:
    """The episodes up to some operation; `lasting` are those that nothing healed yet."""

    end_ns: int
    lasting: list[Episode] = field(default_factory=list)
    healed: list[Episode] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def add(self, operation: Operation, reading: Reading) -> None:
        """Take in the next operation."""
        fault, role = reading.faults[0], reading.role
        time_ns = (report_of(operation) or operation.invocation).time
        met = [each for each in self.lasting if each.fault in reading.faults]
        if role is Role.INJECT and _may_have_struck(operation):
            self.lasting.append(Episode(fault, operation, time_ns, max(time_ns, self.end_ns)))
        elif role is Role.HEAL and met and _succeeded(operation):
            is_asked = operation.invocation.type is Type.INVOKE
            healed_ns = time_ns if is_asked else operation.invocation.time
            for each in met:
                end_ns = max(each.start_ns, healed_ns)
                self.healed.append(replace(each, end_ns=end_ns, healing=operation))
                self.lasting.remove(each)
        else:
            self.marks.append(Mark(fault, operation, role, time_ns))
            if role is Role.CONTINUE and met:
                steps = (*met[-1].continuations, operation)
                self.lasting.remove(met[-1])
                self.lasting.append(replace(met[-1], continuations=steps))

    def episodes(self) -> list[Episode]:
        """All of them, by time."""
        found = [*self.healed, *self.lasting]
        return sorted(found, key=lambda each: (each.start_ns, each.injection.invocation.index))


def _is_of_the_end(mark: Mark) -> bool:
    return mark.role is Role.RECOVER or mark.operation.process in END_OF_RUN


def _end_of_run(
    episodes: Sequence[Episode], marks: Sequence[Mark], end_ns: int
) -> tuple[Step, ...]:
    """Its steps, by time."""
    steps = [
        Step(
            each.fault,
            (each.injection, *([each.healing] if each.healing else [])),
            each.start_ns,
            each.end_ns,
        )
        for each in episodes
        if not each.is_strike
    ]
    for mark in filter(_is_of_the_end, marks):
        asked, answer = mark.operation.invocation, report_of(mark.operation)
        until_ns = max(asked.time, end_ns) if answer is None else answer.time
        steps.append(Step(asked.f, (mark.operation,), asked.time, until_ns))
    return tuple(sorted(steps, key=lambda step: step.start_ns))


def _changes(operation: Operation, action: Action | None) -> list[NodeChange]:
    """What an operation did to the processes of nodes."""
    event = report_of(operation)
    if event is None or action is None or action.effect is None or not _succeeded(operation):
        return []
    return [NodeChange(event.time, node, action.effect) for node in targets(operation)]


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


def _succeeded(operation: Operation) -> bool:
    """Whether it completed, and did not fail for certain."""
    event = report_of(operation)
    return event is not None and event.type is not Type.FAIL


def _may_have_struck(operation: Operation) -> bool:
    """Whether an injection may have struck: it says so, or says nothing."""
    if report_of(operation) is not None and not _succeeded(operation):
        return False
    return not is_aimless(operation) or is_shown(operation) is True
