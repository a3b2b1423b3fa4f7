"""
How long each fault lasted: injecting operations paired with the healing ones that end them.

A band starts when its injection completes, not when it was asked for: before that nothing is known
to have taken hold. Operations that neither inject nor heal are marks, points in time of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dissever.harness.history import Operation, Type

INJECTING_PREFIX = "start-"
INJECTING = frozenset({"kill", "pause", "terminate"})
HEALING_PREFIX = "stop-"
HEALING = frozenset({"start", "resume"})


@dataclass(frozen=True, slots=True)
class Band:
    """
    One fault from taking hold to healing.

    `end_ns` is the end of the run when `healing` is None.
    """

    fault: str
    start_ns: int
    end_ns: int
    injection: Operation
    healing: Operation | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A nemesis operation that starts and ends nothing."""

    fault: str
    time_ns: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class Faults:
    """The bands and marks of a run, each by time."""

    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the nemeses in order of first appearance."""
        seen = sorted(
            [(band.start_ns, band.fault) for band in self.bands]
            + [(mark.time_ns, mark.fault) for mark in self.marks]
        )
        return tuple(dict.fromkeys(fault for _, fault in seen))


def pair_faults(operations: Sequence[Operation], *, end_ns: int) -> Faults:
    """
    Pair each injection with the next completed healing of the same process.

    One healing ends every open band of its process. An injection that failed for certain or struck
    nobody, and a healing that ends nothing, are marks.

    Args:
        operations: Those of the nemeses (`History.faults`), by invocation.
        end_ns: The end of the run, where bands end that nothing healed.
    """
    bands: list[Band] = []
    marks: list[Mark] = []
    open_injections: dict[str, list[Operation]] = {}
    for operation in operations:
        fault = str(operation.process)
        if is_injection(operation.f) and _struck(operation):
            open_injections.setdefault(fault, []).append(operation)
        elif is_healing(operation.f) and _completed(operation) and open_injections.get(fault):
            healed = open_injections.pop(fault)
            bands += [_band(fault, injection, operation, end_ns) for injection in healed]
        else:
            marks.append(Mark(fault, _effect_ns(operation), operation))
    for fault, injections in open_injections.items():
        bands += [_band(fault, injection, None, end_ns) for injection in injections]
    return Faults(
        tuple(sorted(bands, key=lambda band: band.start_ns)),
        tuple(sorted(marks, key=lambda mark: mark.time_ns)),
    )


def is_injection(f: str) -> bool:
    """Whether an operation of this name makes a fault begin."""
    return f in INJECTING or f.startswith(INJECTING_PREFIX)


def is_healing(f: str) -> bool:
    """Whether an operation of this name makes a fault end."""
    return f in HEALING or f.startswith(HEALING_PREFIX)


def targets(operation: Operation) -> tuple[str, ...]:
    """The nodes that a fault operation says it struck; empty when it names none."""
    named = _completion_value(operation).get("targets", ())
    if isinstance(named, str):
        return (named,)
    return tuple(str(node) for node in named) if isinstance(named, (list, tuple, Mapping)) else ()


def evidence(operation: Operation) -> Mapping[str, Any] | None:
    """What was observed from outside when the operation completed, or None."""
    observed = _completion_value(operation).get("evidence")
    return observed if isinstance(observed, Mapping) and observed else None


def _completion_value(operation: Operation) -> Mapping[str, Any]:
    value = operation.completion.value if operation.completion else None
    return value if isinstance(value, Mapping) else {}


def _struck(operation: Operation) -> bool:
    """Whether an injection may have struck: it says so, or says nothing."""
    if operation.type is Type.FAIL:
        return False
    seen = evidence(operation)
    is_aimless = "targets" in _completion_value(operation) and not targets(operation)
    return not (is_aimless and (seen is None or seen.get("held") is not True))


def _completed(operation: Operation) -> bool:
    return operation.completion is not None and operation.type is not Type.FAIL


def _effect_ns(operation: Operation) -> int:
    return (operation.completion or operation.invocation).time


def _band(fault: str, injection: Operation, healing: Operation | None, end_ns: int) -> Band:
    start_ns = _effect_ns(injection)
    healed_ns = _effect_ns(healing) if healing else end_ns
    return Band(fault, start_ns, max(start_ns, healed_ns), injection, healing)
