"""
What was asked and answered: counts, availability, latencies, and how fast the system came back.

A run says something about a system under faults only if the system answered under faults. So the
verdict is unknown when a kind of operation never succeeded, and when none of a kind succeeded while
a fault was in force. That is counted over all faults of a run together: under a single one, such as
a pause of all nodes, nothing can succeed.

It is unknown, too, when a client gave an answer that was none, such as "5" for a number: such a
client has a mistake, and what it was asked was not checked.

Source: Jepsen, `checker.clj`, `stats`, which documents unknown for that case and answers false.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, Final

import msgspec

from dissever.checkers.run_checker import RunChecker
from dissever.harness.episodes import Actions, Effect, Episode, episodes_of
from dissever.harness.history import CAS, History, MalformedHistory, Type
from dissever.harness.latency import Span, Successes, quantile
from dissever.harness.results import Budget, Result, Verdict
from dissever.harness.values import listed
from dissever.harness.vocabulary import NONSENSE
from dissever.harness.windows import Around, arounds
from dissever.native.columns import FAIL, INFO, OK, Columns

NS_PER_MS: Final = 1_000_000
QUANTILES: Final = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
TYPES: Final = {Type.OK: OK, Type.FAIL: FAIL, Type.INFO: INFO}

CHANCE_MAX: Final = 0.01
"""That none of a few operations succeeded counts only if chance is less likely than this."""

EXPECTED_MIN: Final = 10
"""A run in which no operation was asked under faults is unknown only if this many were expected."""

OUTAGES: Final = frozenset({Effect.KILLED, Effect.STOPPED, Effect.PAUSED})


@dataclass(frozen=True, slots=True)
class Stats:
    """
    The checker. Valid when each f succeeded at least once, and while faults were in force.

    `nodes` are those of the run. `ok_min` is how many operations of each f must have succeeded
    while faults were in force; 0: none must.
    """

    actions: Actions = field(default_factory=dict)
    nodes: Sequence[str] = ()
    ok_min: int = 1
    name: str = "stats"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Count; latencies in ms, times in s since the run began."""
        try:
            asked = _Asked(history)
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        found = episodes_of(history, self.actions)
        faults = found.strikes
        under = _union(faults)
        measured: Mapping[int, Around] = {}
        if history.is_timed:
            measured = arounds(asked.columns, found, end_ns=history.duration_ns)
        asked_during = Counter(asked.columns.f[at] for at in asked.within(under))
        coverage = {
            f: _coverage(ok, under) | {"asked_during": asked_during[asked.columns.fs.index(f)]}
            for f, ok in asked.ok.items()
        }
        details = {
            **asked.counts(),
            "by_f": {f: asked.counts_of(f) | _latencies(ok) for f, ok in asked.ok.items()},
            "under_faults": asked.counts_in(under),
            "coverage": coverage,
            "windows": [
                _window(each, asked, measured.get(each.injection.invocation.index))
                for each in faults
            ],
        }
        verdict, why = _verdict(asked)
        if nonsense := self._nonsense(asked):
            verdict, why = Verdict.UNKNOWN, nonsense
        if verdict is Verdict.VALID:
            if missing := self._uncovered(asked, faults, under, coverage):
                verdict, why = Verdict.UNKNOWN, missing
            elif faults:
                during = sum(each["during"] for each in coverage.values())
                why = f"{why}, {during} of them while a fault was in force"
        return Result(checker=self.name, verdict=verdict, why=why, details=details)

    def _nonsense(self, asked: _Asked) -> str | None:
        """
        Whether clients gave answers that were none, or None: what they were asked is not known.

        Reads whose answers are nonsense were not checked. Only runs of ours record it.
        """
        if not self.nodes:
            return None
        found = asked.nonsense()
        if not found:
            return None
        count = (
            f"{len(found)} answers of clients were" if len(found) > 1 else "a client's answer was"
        )
        return f"{count} none: {found[0]}"

    def _uncovered(
        self,
        asked: _Asked,
        faults: Sequence[Episode],
        under: Sequence[Span],
        coverage: Mapping[str, Mapping[str, int]],
    ) -> str | None:
        """Why the run says nothing about the system under faults, or None."""
        if not faults or not self.ok_min:
            return None
        count = sum(each["asked_during"] for each in coverage.values())
        during = sum(each["during"] for each in coverage.values())
        if not count and not during:
            return _nothing_asked(asked, under)
        if not during and all(self._is_outage(each) for each in faults):
            return None  # Nothing can succeed then; what succeeded afterwards counts.
        refused = 1 - min(1.0, during / count) if count else 0.0
        few: list[str] = []
        for f, each in coverage.items():
            if each["during"] >= self.ok_min or not each["asked_during"]:
                continue
            is_chance = refused ** each["asked_during"] > CHANCE_MAX
            if self.ok_min == 1 and ((during and is_chance) or asked.is_answered(f, under)):
                continue
            few.append(f"{f} ({each['during']} of {each['asked_during']} that were asked)")
        if not few:
            return None
        least = "none" if self.ok_min == 1 else f"fewer than {self.ok_min}"
        return f"{least} of these succeeded while a fault was in force: {listed(few)}"

    def _is_outage(self, episode: Episode) -> bool:
        """Whether the fault leaves no majority of nodes running."""
        declared = self.actions.get(str(episode.injection.process), {}).get(episode.injection.f)
        if declared is None or declared.effect not in OUTAGES:
            return False
        return 2 * len(episode.targets) >= len(self.nodes) > 0


class _Asked:
    """The operations of clients, by what was asked. `ok` are the successes of each f."""

    def __init__(self, history: History) -> None:
        """Raise MalformedHistory."""
        self.columns: Columns = history.columns
        self.history = history
        columns, names = self.columns, self.columns.fs
        self.duration_ns = history.duration_ns
        times = columns.inv_time.tolist()
        self._order: Sequence[int] = range(len(times))
        if any(before > after for before, after in pairwise(times)):
            self._order = sorted(self._order, key=times.__getitem__)
        self._times = [times[at] for at in self._order]
        self._kinds = bytes(columns.type[at] for at in self._order)
        spans: dict[int, list[Span]] = {}
        for f, kind, start, end in zip(
            columns.f, columns.type, columns.inv_time, columns.ret_time, strict=True
        ):
            of_f = spans.setdefault(f, [])
            if kind == OK:
                of_f.append((start, end))
        self.ok = {names[f]: Successes(spans[f]) for f in sorted(spans, key=names.__getitem__)}
        self.all_ok = Successes(chain.from_iterable(spans.values()))
        self._counts = Counter(zip(columns.f, columns.type, strict=True))

    def __len__(self) -> int:
        return len(self._times)

    def nonsense(self) -> list[str]:
        """What was wrong with each answer of a client that was none."""
        found = []
        for at in self._order:
            if self.columns.type[at] == INFO:
                completion = self.history.operation(at).completion
                error = None if completion is None else completion.error
                if isinstance(error, list) and len(error) == 2 and error[0] == NONSENSE:
                    found.append(str(error[1]))
        return found

    def counts(self) -> dict[str, Any]:
        """How many ended how."""
        return _shares([self._kinds.count(code) for code in TYPES.values()])

    def counts_of(self, f: str) -> dict[str, Any]:
        """How many of one f ended how."""
        number = self.columns.fs.index(f)
        return _shares([self._counts[number, code] for code in TYPES.values()])

    def counts_in(self, spans: Sequence[Span]) -> dict[str, Any]:
        """How many of those that were asked in these stretches of time ended how."""
        parts = [self._kinds[start:end] for start, end in map(self._places, spans)]
        return _shares([sum(part.count(code) for part in parts) for code in TYPES.values()])

    def within(self, spans: Sequence[Span]) -> Iterator[int]:
        """The positions of the operations that were asked in one of these stretches of time."""
        for start, end in map(self._places, spans):
            yield from self._order[start:end]

    def _places(self, span: Span) -> tuple[int, int]:
        return bisect_left(self._times, span[0]), bisect_left(self._times, span[1])

    def is_answered(self, f: str, spans: Sequence[Span]) -> bool:
        """Whether some cas was refused for what the object held: that is an answer as well."""
        if f != CAS:
            return False
        code, columns = self.columns.fs.index(f), self.columns
        for at in self.within(spans):
            if columns.f[at] == code and columns.type[at] == FAIL:
                completion = self.history.operation(at).completion
                if completion is not None and isinstance(completion.error, str | None):
                    return True
        return False


def _shares(counts: Sequence[int]) -> dict[str, Any]:
    """Counts by type, and the share of ok; None without any."""
    count = sum(counts)
    availability = round(counts[0] / count, 4) if count else None
    named = {kind.value: number for kind, number in zip(TYPES, counts, strict=True)}
    return {"count": count, **named, "availability": availability}


def _verdict(asked: _Asked) -> tuple[Verdict, str]:
    count, ok = len(asked), len(asked.all_ok)
    if not count:
        return Verdict.UNKNOWN, "no client asked for anything"
    if without := [f for f, ok in asked.ok.items() if not ok]:
        return Verdict.UNKNOWN, f"no {' and no '.join(without)} succeeded"
    return Verdict.VALID, f"{ok} of {count} operations succeeded ({100 * ok / count:.1f} %)"


def _nothing_asked(asked: _Asked, under: Sequence[Span]) -> str | None:
    lasted_ns = sum(end - start for start, end in under)
    expected = len(asked) * lasted_ns / max(1, asked.duration_ns)
    if expected < EXPECTED_MIN:
        return None
    return "no client asked for anything while a fault was in force"


def _coverage(ok: Successes, under: Sequence[Span]) -> dict[str, int]:
    """How many succeeded before the first fault, while any was in force, and after the last."""
    if not under:
        return {"before": len(ok), "during": 0, "after": 0}
    return {
        "before": ok.around(*under[0])[0],
        "during": sum(ok.around(*span)[1] for span in under),
        "after": ok.around(*under[-1])[2],
    }


def _union(faults: Sequence[Episode]) -> list[Span]:
    """When at least one of the faults was in force."""
    merged: list[Span] = []
    for start, end in sorted((each.start_ns, each.end_ns) for each in faults):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _latencies(ok: Successes) -> dict[str, Any]:
    """Quantiles of the ok operations in ms, by nearest rank; None without any."""
    quantiles = {name: _ms(quantile(ok.latencies_ns, percent)) for name, percent in QUANTILES}
    return {"latency_ms": quantiles if ok.latencies_ns else None}


def _window(episode: Episode, asked: _Asked, measured: Around | None) -> dict[str, Any]:
    """
    What the clients got while a fault was in force, and how soon the system served again.

    `around` compares it with stretches of the same length before and after, as `windows.py` says.
    """
    is_healed, successes = episode.healing is not None, asked.all_ok
    healed_ms = _ms(successes.first_after_ns(episode.end_ns)) if is_healed else None
    before, during, after = successes.around(episode.start_ns, episode.end_ns)
    return {
        "nemesis": episode.injection.process,
        "f": episode.injection.f,
        "injection": episode.injection.invocation.index,
        "start_s": round(episode.start_ns / 1e9, 3),
        "end_s": round(episode.end_ns / 1e9, 3),
        "is_healed": is_healed,
        **asked.counts_in([(episode.start_ns, episode.end_ns)]),
        "ok_before": before,
        "ok_during": during,
        "ok_after": after,
        "first_ok_after_injection_ms": _ms(successes.first_after_ns(episode.start_ns)),
        "first_ok_after_healing_ms": healed_ms,
        "around": msgspec.to_builtins(measured),
    }


def _ms(span_ns: int | None) -> float | None:
    return None if span_ns is None else round(span_ns / NS_PER_MS, 3)


RUN_CHECKER: Final = RunChecker(
    name="stats",
    description="what was asked and answered, under faults as well, and how fast it came back",
    make=lambda actions, remains: Stats(actions, remains.nodes, remains.ok_min),
)
