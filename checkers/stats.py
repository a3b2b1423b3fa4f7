"""
What was asked and answered: counts, availability, latencies, and how fast the system came back.

A kind of operation that never succeeded makes the run unknown: nothing was tested there.

Source: Jepsen, `checker.clj`, `stats`, which documents unknown for that case and answers false.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.evidence import NOT_FAULTS, is_healing
from dissever.harness.history import History, MalformedHistory, Operation, Process, Type
from dissever.harness.results import Budget, Result, Verdict

NS_PER_MS: Final = 1_000_000
QUANTILES: Final = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))


@dataclass(frozen=True, slots=True)
class Window:
    """A fault in force: from the end of its injection to the start of its healing, or the end."""

    injection: Operation
    healing: Operation | None
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The checker. Valid when each f succeeded at least once."""

    name: str = "stats"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Count; latencies in ms, times in s since the run began."""
        try:
            operations, faults = history.operations, history.faults
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        by_f: dict[str, list[Operation]] = {}
        for operation in operations:
            by_f.setdefault(operation.f, []).append(operation)
        found = windows(faults, history.duration_ns)
        details = {
            **_counts(operations),
            "by_f": {f: _counts(of_f) | _latencies(of_f) for f, of_f in sorted(by_f.items())},
            "under_faults": _counts(_inside(operations, found)),
            "windows": _describe(operations, found),
        }
        without = [f for f, of_f in sorted(by_f.items()) if not _ok(of_f)]
        verdict, why = _verdict(operations, without)
        return Result(checker=self.name, verdict=verdict, why=why, details=details)


def windows(faults: Sequence[Operation], end_ns: int) -> tuple[Window, ...]:
    """Each injection with the next healing by the same nemesis."""
    found: list[Window] = []
    waiting: dict[Process, list[Operation]] = {}
    for fault in faults:
        if fault.process in NOT_FAULTS:
            continue
        if not is_healing(fault.f):
            waiting.setdefault(fault.process, []).append(fault)
            continue
        for injection in waiting.pop(fault.process, []):
            found.append(Window(injection, fault, _end_ns(injection), fault.invocation.time))
    for left in waiting.values():
        found += [Window(injection, None, _end_ns(injection), end_ns) for injection in left]
    return tuple(sorted(found, key=lambda window: window.injection.invocation.index))


def _end_ns(operation: Operation) -> int:
    return (operation.completion or operation.invocation).time


def _verdict(operations: Sequence[Operation], without: Sequence[str]) -> tuple[Verdict, str]:
    if not operations:
        return Verdict.UNKNOWN, "no client asked for anything"
    if without:
        return Verdict.UNKNOWN, f"no {' and no '.join(without)} succeeded"
    ok = len(_ok(operations))
    share = 100 * ok / len(operations)
    return Verdict.VALID, f"{ok} of {len(operations)} operations succeeded ({share:.1f} %)"


def _ok(operations: Sequence[Operation]) -> list[Operation]:
    return [operation for operation in operations if operation.type is Type.OK]


def _counts(operations: Sequence[Operation]) -> dict[str, Any]:
    counts = {each.value: 0 for each in (Type.OK, Type.FAIL, Type.INFO)}
    for operation in operations:
        counts[operation.type.value] += 1
    count = len(operations)
    availability = round(counts["ok"] / count, 4) if count else None
    return {"count": count, **counts, "availability": availability}


def _latencies(operations: Sequence[Operation]) -> dict[str, Any]:
    """Quantiles of the ok operations in ms, by nearest rank; None without any."""
    spans = sorted(_end_ns(each) - each.invocation.time for each in _ok(operations))
    if not spans:
        return {"latency_ms": None}
    quantiles = {name: spans[-(-percent * len(spans) // 100) - 1] for name, percent in QUANTILES}
    return {"latency_ms": {name: round(ns / NS_PER_MS, 3) for name, ns in quantiles.items()}}


def _inside(operations: Sequence[Operation], found: Sequence[Window]) -> list[Operation]:
    """The operations invoked while some fault was in force."""
    merged: list[tuple[int, int]] = []
    for window in sorted(found, key=lambda each: each.start_ns):
        if merged and window.start_ns <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], window.end_ns))
        else:
            merged.append((window.start_ns, window.end_ns))
    starts = [start for start, _ in merged]
    inside = []
    for operation in operations:
        at = operation.invocation.time
        place = bisect_left(starts, at + 1) - 1
        if place >= 0 and at < merged[place][1]:
            inside.append(operation)
    return inside


def _describe(operations: Sequence[Operation], found: Sequence[Window]) -> list[dict[str, Any]]:
    asked = sorted(operations, key=lambda each: each.invocation.time)
    times = [each.invocation.time for each in asked]
    described = []
    for window in found:
        low, high = bisect_left(times, window.start_ns), bisect_left(times, window.end_ns)
        healed = window.healing
        described.append(
            {
                "nemesis": window.injection.process,
                "f": window.injection.f,
                "start_s": round(window.start_ns / 1e9, 3),
                "end_s": round(window.end_ns / 1e9, 3),
                "is_healed": healed is not None,
                **_counts(asked[low:high]),
                "first_ok_after_injection_ms": _first_ok_ms(asked, times, window.start_ns),
                "first_ok_after_healing_ms": _first_ok_ms(asked, times, _end_ns(healed))
                if healed
                else None,
            }
        )
    return described


def _first_ok_ms(asked: Sequence[Operation], times: Sequence[int], since_ns: int) -> float | None:
    """From a time to the first ok answer of an operation asked after it; None without any."""
    first_ns: int | None = None
    for operation in asked[bisect_left(times, since_ns) :]:
        if first_ns is not None and operation.invocation.time >= first_ns:
            break
        if operation.type is Type.OK:
            end_ns = _end_ns(operation)
            first_ns = end_ns if first_ns is None else min(first_ns, end_ns)
    return None if first_ns is None else round((first_ns - since_ns) / NS_PER_MS, 3)
