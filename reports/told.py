"""
The anomalies that a report tells, each event once.

A process that ends with a failed assertion leaves a line in its log. The checker of ends finds the
crash, and that of logs finds the line. A report tells both as one: the crash, and what it said.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.results import Anomaly, Result, Results, by_cause
from dissever.reports.details import UnaskedEnd, unasked_ends

_ENDS = "nodes"
_LOGS = "logs"


def told(results: Results) -> list[tuple[Result, Anomaly]]:
    """All anomalies, causes before consequences, without lines that a crash tells."""
    every = [(result, each) for result in by_cause(results.results) for each in result.anomalies]
    crashes = [each for result, each in every if result.checker == _ENDS]
    ends = unasked_ends(results)
    return [
        (result, anomaly)
        for result, anomaly in every
        if result.checker != _LOGS
        or not any(_is_told_by(crash, anomaly, ends) for crash in crashes)
    ]


def said(results: Results, crash: Anomaly) -> tuple[Anomaly, ...]:
    """What the checker of logs found in the last words of a process that crashed."""
    ends = unasked_ends(results)
    return tuple(
        anomaly
        for result in results.results
        if result.checker == _LOGS
        for anomaly in result.anomalies
        if _is_told_by(crash, anomaly, ends)
    )


def _is_told_by(crash: Anomaly, anomaly: Anomaly, ends: Sequence[UnaskedEnd]) -> bool:
    """Whether each line that it names is one of the last words of the process that crashed."""
    lines = {step.text for step in anomaly.steps}
    words = {
        f"{end.log}:{number}: {line}"
        for end in ends
        if crash.summary.startswith(f"{end.what},")
        for number, line in enumerate(end.words, end.first)
    }
    return bool(lines) and lines <= words | {step.text for step in crash.steps}
