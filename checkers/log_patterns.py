"""
What the nodes' logs show: assertions, sanitizer reports, aborts, torn logs.

The logs come as values; the caller reads the files. How processes ended is for `node_ends.py`.

Source: dqlite's own stress tests and their log scans.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.checkers.run_checker import NodeLog, RunChecker
from dissever.harness.episodes import damages_disk, targets
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Budget, Result, Step, Verdict
from dissever.harness.values import listed

LINES_SHOWN: Final = 5
LINE_CHARACTERS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A kind of line that no healthy node writes.

    `words`: a line that matches `regex` holds at least one of them, so all other lines are passed
    over. `is_right_when_damaged`: a healthy node does write it where a fault damaged its disk.
    """

    name: str
    meaning: str
    regex: re.Pattern[str]
    words: tuple[str, ...]
    is_right_when_damaged: bool = False


PATTERNS: Final = (
    Pattern("assertion", "an assertion failed", re.compile(r"Assertion"), ("Assertion",)),
    Pattern(
        "memory-error",
        "memory was corrupted",
        re.compile(r"double free|corruption|malloc\(\): |AddressSanitizer|Segmentation"),
        ("double free", "corruption", "malloc(): ", "AddressSanitizer", "Segmentation"),
    ),
    Pattern("leak", "memory was leaked", re.compile(r"LeakSanitizer"), ("LeakSanitizer",)),
    Pattern(
        "undefined-behaviour",
        "a sanitizer complained",
        re.compile(r"runtime error"),
        ("runtime error",),
    ),
    Pattern("abort", "the process aborted", re.compile(r"\bAborted\b"), ("Aborted",)),
    Pattern(
        "start-failed",
        "the node could not start",
        re.compile(r"raft_start\(\)"),
        ("raft_start()",),
        is_right_when_damaged=True,
    ),
    Pattern(
        "log-conflict",
        "the logs of two nodes contradict each other",
        re.compile(r"conflicting terms|new index conflicts with committed entry"),
        ("conflicting terms", "new index conflicts with committed entry"),
    ),
    Pattern(
        "commit-goes-back",
        "what a node had for committed, it has no more",
        re.compile(r"commit index goes back from"),
        ("commit index goes back from",),
    ),
    Pattern(
        "disk-failed",
        "the node could not write its log",
        re.compile(r"\bUNAVAILABLE\b|prepare segment failed"),
        ("UNAVAILABLE", "prepare segment failed"),
    ),
)

WORDS: Final = tuple(word for pattern in PATTERNS for word in pattern.words)


@dataclass(frozen=True, slots=True)
class LogPatterns:
    """The checker. Valid when no line matches; unknown without any log."""

    logs: Sequence[NodeLog]
    name: str = "logs"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Read each log once, for all patterns; its lines are never held."""
        damaged = set(_damaged(history))
        anomalies = tuple(self._lines(damaged))
        lines = sum(len(log.lines) for log in self.logs)
        details: dict[str, Any] = {"nodes": len({log.node for log in self.logs}), "lines": lines}
        if damaged:
            details["damaged"] = sorted(damaged)
        if not self.logs:
            verdict, why = Verdict.UNKNOWN, "no logs were kept"
        elif anomalies:
            verdict, why = Verdict.INVALID, listed((each.summary for each in anomalies), "; ")
        else:
            verdict, why = Verdict.VALID, f"nothing suspicious in {lines} lines"
        return Result(
            checker=self.name, verdict=verdict, why=why, anomalies=anomalies, details=details
        )

    def _lines(self, damaged: Collection[str]) -> Iterable[Anomaly]:
        matches = [_matches(log) for log in self.logs]
        for pattern in PATTERNS:
            for log, of_log in zip(self.logs, matches, strict=True):
                if pattern.is_right_when_damaged and log.node in damaged:
                    continue
                if (found := of_log.get(pattern)) is not None:
                    yield _anomaly(pattern, log, found)


@dataclass(slots=True)
class _Matches:
    """The lines of a log that match a pattern: how many, and the first of them."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)


def _matches(log: NodeLog) -> dict[Pattern, _Matches]:
    """What each pattern finds in a log, which is read once for all of them."""
    found: dict[Pattern, _Matches] = {}
    for number, line in log.containing(WORDS):
        for pattern in PATTERNS:
            if pattern.regex.search(line):
                matches = found.setdefault(pattern, _Matches())
                matches.count += 1
                if len(matches.first) < LINES_SHOWN:
                    matches.first.append((number, line))
    return found


def _damaged(history: History) -> Iterable[str]:
    """The nodes whose disks a fault damaged, as its operations say."""
    for operation in history.faults:
        if damages_disk(operation):
            yield from targets(operation)


def _anomaly(pattern: Pattern, log: NodeLog, found: _Matches) -> Anomaly:
    first, text = found.first[0]
    more = f" and {found.count - 1} more lines" if found.count > 1 else ""
    return Anomaly(
        name=pattern.name,
        summary=f"{log.node}: {pattern.meaning}: {text.strip()[:120]} ({log.path}:{first}{more})",
        indices=(),
        steps=tuple(
            Step(f"{log.path}:{number}: {line.rstrip()[:LINE_CHARACTERS_MAX]}")
            for number, line in found.first
        ),
    )


RUN_CHECKER: Final = RunChecker(
    name="logs",
    description="no node's log shows an assertion, a sanitizer report, a failed start",
    make=lambda _, remains: LogPatterns(remains.logs),
)
