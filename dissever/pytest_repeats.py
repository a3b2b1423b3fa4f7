"""How many runs of each repeated test were valid, shown once, where all reports are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

__all__ = ["RUNS", "lines"]

RUNS: Final = "dissever_runs"
"""The attribute of a report with test, seed and verdict of each run; it may cross processes."""

VALID: Final = "valid"


def lines(stats: Mapping[str, Sequence[Any]]) -> list[str]:
    """
    One line for each test that was repeated.

    Args:
        stats: Reports by their outcome, as the terminal reporter keeps them.
    """
    runs: dict[str, dict[str, str]] = {}
    for reports in stats.values():
        for report in reports:
            for test, seed, verdict in _runs(report):
                runs.setdefault(test, {})[seed] = verdict
    return [_line(test, verdicts) for test, verdicts in runs.items()]


def _runs(report: Any) -> Iterator[tuple[str, str, str]]:
    """The test, the seed and the verdict of each run that a report speaks of."""
    for test, seed, verdict in getattr(report, RUNS, ()):
        yield test, str(seed), verdict


def _line(test: str, verdicts: Mapping[str, str]) -> str:
    valid = sum(verdict == VALID for verdict in verdicts.values())
    text = f"{test}: {valid} of {len(verdicts)} runs valid"
    others: dict[str, list[str]] = {}
    for seed, verdict in verdicts.items():
        if verdict != VALID:
            others.setdefault(verdict, []).append(seed)
    said = (
        f"{verdict} with seed {', '.join(sorted(seeds, key=int))}"
        for verdict, seeds in others.items()
    )
    return "; ".join((text, *said))
