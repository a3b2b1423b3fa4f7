"""
Two runs side by side: what was planned, what was found, and how they went. Pure.

Only differences are listed, with the number of what is equal. Strikes are aligned in their order,
not by their times: two runs of one seed strike in the same order and seldom at the same moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

import msgspec

from dissever.harness.episodes import Episodes, report, targets
from dissever.harness.latency import quantile
from dissever.harness.plan import Plan
from dissever.harness.results import Results, Verdict
from dissever.harness.values import plain, shorten, show
from dissever.harness.vocabulary import END_OF_RUN, Role
from dissever.runs.series import Series

STRIKES_MAX: Final = 1_000
"""Strikes of a run that are aligned; aligning takes time that grows with their square."""

TEXT_CHARACTERS_MAX: Final = 300

APART: Final = frozenset({"seed", "script"})
"""Options that have a place of their own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A name, and what each run has there: empty where it has nothing."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs, and how many names have equal values."""

    rows: tuple[Difference, ...]
    equal: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of failure, and how many anomalies of it each run has; `summary` is of the first."""

    signature: str
    verdict: Verdict
    a: int
    b: int
    summary: str


@dataclass(frozen=True, slots=True)
class Strike:
    """One injection: when, what, and whom it struck."""

    time_ns: int
    f: str
    targets: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        return " ".join((plain(self.f), *map(plain, self.targets)))


@dataclass(frozen=True, slots=True)
class Pair:
    """Strikes that correspond; None where only the other run has one."""

    a: Strike | None
    b: Strike | None


def options_of(plan: Plan) -> dict[str, str]:
    """The options of a plan, those of its system and its workload among them, as texts."""
    return dict(_flat("", msgspec.to_builtins(plan.options)))


def _flat(above: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        full = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _flat(f"{full}.", value)
        elif name not in APART:
            is_list = isinstance(value, Sequence) and not isinstance(value, str)
            text = ", ".join(map(str, value)) if is_list else _text(value)
            yield full, shorten(text, TEXT_CHARACTERS_MAX)


def _text(value: Any) -> str:
    """A text stands without quotes: nothing else could be meant."""
    return value if isinstance(value, str) else show(value)


def differences(a: Mapping[str, str], b: Mapping[str, str]) -> Differences:
    """What two runs do not have in common, by name."""
    names = list(dict.fromkeys((*a, *b)))
    rows = [Difference(name, a.get(name, ""), b.get(name, "")) for name in names]
    differing = tuple(row for row in rows if row.a != row.b)
    return Differences(differing, len(rows) - len(differing))


def findings(a: Results | None, b: Results | None) -> tuple[Finding, ...]:
    """Each kind of failure of one of the runs or of both: invalid before unknown."""
    kinds: dict[str, tuple[Verdict, str]] = {}
    counts = Counter[str](), Counter[str]()
    for results, count in zip((a, b), counts, strict=True):
        for signature, verdict, summary in _kinds(results):
            count[signature] += 1
            kinds.setdefault(signature, (verdict, summary))
    found = (
        Finding(signature, verdict, counts[0][signature], counts[1][signature], summary)
        for signature, (verdict, summary) in kinds.items()
    )
    return tuple(sorted(found, key=lambda each: each.verdict, reverse=True))


def _kinds(results: Results | None) -> Iterator[tuple[str, Verdict, str]]:
    for result in results.results if results else ():
        if result.verdict is Verdict.VALID:
            continue
        for anomaly in result.anomalies:
            signature = anomaly.signature or f"{result.checker}/{anomaly.name}"
            yield signature, result.verdict, shorten(anomaly.summary, TEXT_CHARACTERS_MAX)
        if not result.anomalies:
            name = f"{result.checker}/{result.verdict.word}"
            yield name, result.verdict, shorten(result.why, TEXT_CHARACTERS_MAX)


def strikes(found: Episodes) -> tuple[Strike, ...]:
    """The injections of faults of a run, by time."""
    return tuple(
        Strike(
            operation.invocation.time,
            " ".join(filter(None, (operation.f, str(report(operation).get("spec") or "")))),
            targets(operation),
        )
        for operation, role in found.faults
        if role is Role.INJECT and operation.process not in END_OF_RUN
    )


def aligned(a: Sequence[Strike], b: Sequence[Strike]) -> tuple[Pair, ...]:
    """Which strikes correspond: the same fault on the same nodes, in the same order."""
    a, b = a[:STRIKES_MAX], b[:STRIKES_MAX]
    texts = [each.text for each in a], [each.text for each in b]
    pairs: list[Pair] = []
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += [Pair(*both) for both in zip(a[a0:a1], b[b0:b1], strict=True)]
        else:
            pairs += [Pair(each, None) for each in a[a0:a1]]
            pairs += [Pair(None, each) for each in b[b0:b1]]
    return tuple(pairs)


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in numbers. Operations without an answer when the history ends count as info."""

    duration_ns: int
    total: int
    ok: int
    fail: int
    info: int
    p50_ns: int | None
    p95_ns: int | None
    p99_ns: int | None

    @property
    def rate(self) -> float:
        """Operations that were ok, per second of the run."""
        return self.ok / (self.duration_ns / 1e9) if self.duration_ns else 0.0


def figures_of(series: Series) -> Figures:
    """The numbers of a whole history."""
    ordered = series.latencies_ns()
    counts = series.counts
    return Figures(
        duration_ns=series.end_ns,
        total=counts.total + series.open,
        ok=counts.ok,
        fail=counts.fail,
        info=counts.info + series.open,
        p50_ns=quantile(ordered, 50),
        p95_ns=quantile(ordered, 95),
        p99_ns=quantile(ordered, 99),
    )
