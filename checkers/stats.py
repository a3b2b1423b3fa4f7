"""
What was asked and answered: counts, availability, latencies, and how fast the system came back.

A kind of operation that never succeeded makes the run unknown: nothing was tested there.

Source: Jepsen, `checker.clj`, `stats`, which documents unknown for that case and answers false.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.checkers.run_checker import RunChecker
from dissever.harness.episodes import Actions, Episode, episodes_of
from dissever.harness.history import History, MalformedHistory, Operation, Type
from dissever.harness.latency import Successes, quantile
from dissever.harness.results import Budget, Result, Verdict

NS_PER_MS: Final = 1_000_000
QUANTILES: Final = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))


@dataclass(frozen=True, slots=True)
class Stats:
    """The checker. Valid when each f succeeded at least once."""

    actions: Actions = field(default_factory=dict)
    name: str = "stats"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Count; latencies in ms, times in s since the run began."""
        try:
            operations = history.operations
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        by_f: dict[str, list[Operation]] = {}
        for operation in operations:
            by_f.setdefault(operation.f, []).append(operation)
        found = episodes_of(history, self.actions).episodes
        asked = sorted(operations, key=lambda each: each.invocation.time)
        times = [each.invocation.time for each in asked]
        within = [
            range(bisect_left(times, each.start_ns), bisect_left(times, each.end_ns))
            for each in found
        ]
        successes = Successes(operations)
        details = {
            **_counts(operations),
            "by_f": {f: _counts(of_f) | _latencies(of_f) for f, of_f in sorted(by_f.items())},
            "under_faults": _counts([asked[i] for i in sorted(set().union(*within))]),
            "windows": [
                _window(episode, [asked[i] for i in inside], successes)
                for episode, inside in zip(found, within, strict=True)
            ],
        }
        without = [f for f, of_f in sorted(by_f.items()) if not Successes(of_f)]
        verdict, why = _verdict(len(operations), len(successes), without)
        return Result(checker=self.name, verdict=verdict, why=why, details=details)


def _verdict(count: int, ok: int, without: Sequence[str]) -> tuple[Verdict, str]:
    if not count:
        return Verdict.UNKNOWN, "no client asked for anything"
    if without:
        return Verdict.UNKNOWN, f"no {' and no '.join(without)} succeeded"
    return Verdict.VALID, f"{ok} of {count} operations succeeded ({100 * ok / count:.1f} %)"


def _counts(operations: Sequence[Operation]) -> dict[str, Any]:
    found = Counter(operation.type for operation in operations)
    counts = {each.value: found[each] for each in (Type.OK, Type.FAIL, Type.INFO)}
    count = len(operations)
    availability = round(counts["ok"] / count, 4) if count else None
    return {"count": count, **counts, "availability": availability}


def _latencies(operations: Sequence[Operation]) -> dict[str, Any]:
    """Quantiles of the ok operations in ms, by nearest rank; None without any."""
    latencies = Successes(operations).latencies_ns
    quantiles = {name: _ms(quantile(latencies, percent)) for name, percent in QUANTILES}
    return {"latency_ms": quantiles if latencies else None}


def _window(episode: Episode, inside: Sequence[Operation], successes: Successes) -> dict[str, Any]:
    """What the clients got while a fault was in force, and how soon the system served again."""
    is_healed = episode.healing is not None
    healed_ms = _ms(successes.first_after_ns(episode.end_ns)) if is_healed else None
    return {
        "nemesis": episode.injection.process,
        "f": episode.injection.f,
        "start_s": round(episode.start_ns / 1e9, 3),
        "end_s": round(episode.end_ns / 1e9, 3),
        "is_healed": is_healed,
        **_counts(inside),
        "first_ok_after_injection_ms": _ms(successes.first_after_ns(episode.start_ns)),
        "first_ok_after_healing_ms": healed_ms,
    }


def _ms(span_ns: int | None) -> float | None:
    return None if span_ns is None else round(span_ns / NS_PER_MS, 3)


RUN_CHECKER: Final = RunChecker(
    name="stats",
    description="what was asked and answered, how fast, and how fast the system came back",
    make=lambda actions, _: Stats(actions),
)
