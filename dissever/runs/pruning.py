"""
Which runs `dissever gc` removes, and why each of the others stays. Pure: `removal.py` does it.

What may be evidence stays unless somebody asks for it: a run that is invalid, and one that nobody
has judged. A run that goes on, and the one that `latest` leads to, are not removed by accident.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from dissever.harness.results import Verdict
from dissever.runs.index import Index, State, Stored
from dissever.runs.query import Query

RUNNING = "running"
IS_LATEST = "what latest leads to"
IS_INVALID = "invalid"
NO_VERDICT = "not judged"
AMONG_NEWEST = "among the newest"
TOO_YOUNG = "too young"
NOT_MEANT = "not asked for"
FITS = "not needed for the size"
NO_DATA = "without data directories"

ALL = Query()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    What goes: a run for which all that is given holds, and that nothing protects.

    `keep`: the newest runs of the folder stay. `before`: younger ones stay. `bytes_max`: the oldest
    go until all runs together take no more. `data_only`: data directories of nodes are counted and
    go, and the runs stay. `invalid_too`, `unjudged_too`, `latest_too`: these are not protected.
    """

    query: Query = ALL
    keep: int | None = None
    before: datetime | None = None
    bytes_max: int | None = None
    data_only: bool = False
    invalid_too: bool = False
    unjudged_too: bool = False
    latest_too: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The runs that go, oldest first, and how many stay for each reason."""

    go: tuple[Stored, ...]
    stay: Counter[str]

    def freed_bytes(self, *, data_only: bool) -> int:
        """What they take on the disk."""
        return sum(weight_bytes(run, data_only=data_only) for run in self.go)


def choose(found: Index, rule: Rule) -> Choice:
    """Apply a rule to the runs of a folder."""
    stay: Counter[str] = Counter()
    may_go: list[Stored] = []
    for place, run in enumerate(found.runs):
        reason = _reason(run, rule, place, is_latest=run.path == found.latest)
        if reason:
            stay[reason] += 1
        else:
            may_go.append(run)
    go: list[Stored] = []
    left_bytes = sum(weight_bytes(run, data_only=rule.data_only) for run in found.runs)
    for run in reversed(may_go):
        if rule.bytes_max is not None and left_bytes <= rule.bytes_max:
            stay[FITS] += 1
        else:
            go.append(run)
            left_bytes -= weight_bytes(run, data_only=rule.data_only)
    return Choice(tuple(go), stay)


def weight_bytes(run: Stored, *, data_only: bool) -> int:
    """What of a run counts, and is freed when it goes."""
    return run.data_bytes if data_only else run.size_bytes


def _reason(run: Stored, rule: Rule, place: int, *, is_latest: bool) -> str:
    """Why a run stays whatever the size is; empty if it may go."""
    reasons = (
        (run.state is State.RUNNING, RUNNING),
        (is_latest and not rule.latest_too, IS_LATEST),
        (run.verdict is Verdict.INVALID and not rule.invalid_too, IS_INVALID),
        (run.verdict is None and not rule.unjudged_too, NO_VERDICT),
        (not rule.query.matches(run), NOT_MEANT),
        (rule.keep is not None and place < rule.keep, AMONG_NEWEST),
        (rule.before is not None and run.started_at >= rule.before, TOO_YOUNG),
        (rule.data_only and not run.data_bytes, NO_DATA),
    )
    return next((reason for holds, reason in reasons if holds), "")
