"""
What the checkers of every run say in their details, where a report shows it in a place of its own.

The keys are those of `checkers/stats.py` and `checkers/node_ends.py`. Results may come from a file,
so what is of another shape is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dissever.harness.results import Anomaly, Result, Results
from dissever.harness.windows import Around

Counts = tuple[int, int, int]
"""How many operations succeeded before, during and after."""


ELSEWHERE: Final = {
    "stats": frozenset({"windows"}),
    "invariants": frozenset({"moments"}),
    "faults": frozenset({"strikes", "idle", "skipped", "not_as_asked"}),
}
"""Checker -> the keys of its details that the lines of faults and their summary show."""


@dataclass(frozen=True, slots=True)
class UnaskedEnd:
    """
    The end of a node's process that nobody asked for; `why` is empty when it is a crash.

    Results of earlier versions say no more than `what` and `why`: then `node` is empty. `process`
    is the number of the node's incarnation. `time_ns` is None when nobody knows, `signal` is empty
    for an exit. `is_restarted` None: nobody knows whether the node had a process again; `next_ns`
    is when it had, None when it never had or nobody knows. `words` are the last lines of the log at
    `log`, from its line `first` on; `fatal` is the position of the fatal one among them.
    """

    what: str
    why: str
    node: str = ""
    process: int | None = None
    time_ns: int | None = None
    exit_status: int | None = None
    signal: str = ""
    is_restarted: bool | None = None
    next_ns: int | None = None
    log: str = ""
    first: int = 1
    words: tuple[str, ...] = ()
    fatal: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When an anomaly was seen that no operation shows; `node` is empty when it is of none."""

    node: str
    time_ns: int


def moment_of(result: Result, anomaly: Anomaly) -> Moment | None:
    """The moment of one of a checker's anomalies; None: it does not say."""
    moments = result.details.get("moments")
    place = next((i for i, each in enumerate(result.anomalies) if each is anomaly), None)
    if not isinstance(moments, list | tuple) or place is None or place >= len(moments):
        return None
    moment = moments[place]
    time_ns = _number(moment.get("time_ns")) if isinstance(moment, Mapping) else None
    return None if time_ns is None else Moment(str(moment.get("node") or ""), time_ns)


def own_details(result: Result) -> dict[str, Any]:
    """The details of a checker that no other place of the page shows."""
    elsewhere = ELSEWHERE.get(result.checker, frozenset())
    return {key: value for key, value in result.details.items() if key not in elsewhere}


def unasked_ends(results: Results) -> tuple[UnaskedEnd, ...]:
    """Every end of a node's process that nobody asked for, in order."""
    ends = _details(results, "nodes").get("unasked")
    return tuple(
        _end(each) for each in (ends if isinstance(ends, list) else ()) if isinstance(each, Mapping)
    )


def _end(each: Mapping[str, Any]) -> UnaskedEnd:
    said = each.get("last_words")
    words = said if isinstance(said, Mapping) else {}
    lines = words.get("lines")
    restarted = each.get("is_restarted")
    return UnaskedEnd(
        what=str(each.get("what", "")),
        why=str(each.get("why") or ""),
        node=str(each.get("node") or ""),
        process=_number(each.get("process")),
        time_ns=_number(each.get("time_ns")),
        exit_status=_number(each.get("exit_status")),
        signal=str(each.get("signal") or ""),
        is_restarted=restarted if isinstance(restarted, bool) else None,
        next_ns=_number(each.get("next_ns")),
        log=str(words.get("path") or ""),
        first=_number(words.get("first")) or 1,
        words=tuple(str(line) for line in lines) if isinstance(lines, list | tuple) else (),
        fatal=_number(words.get("fatal")),
    )


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def counts_of_faults(results: Results) -> dict[int, Counts]:
    """The index of an injection -> what succeeded around its fault."""
    windows = _details(results, "stats").get("windows")
    found: dict[int, Counts] = {}
    for each in windows if isinstance(windows, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("injection"), int):
            counts = _counts(each, "ok_before", "ok_during", "ok_after")
            if counts is not None:
                found[each["injection"]] = counts
    return found


def arounds_of(results: Results) -> dict[int, Around]:
    """The index of an injection -> what clients got around its fault."""
    windows = _details(results, "stats").get("windows")
    found: dict[int, Around] = {}
    for each in windows if isinstance(windows, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("injection"), int):
            with suppress(msgspec.ValidationError):
                found[each["injection"]] = msgspec.convert(each.get("around"), Around)
    return found


def counts_of_run(results: Results) -> Counts | None:
    """What succeeded before the first fault, during faults, after the last; None without faults."""
    if not counts_of_faults(results):
        return None
    coverage = _details(results, "stats").get("coverage")
    by_f = coverage.values() if isinstance(coverage, Mapping) else ()
    each = [
        counts
        for of_f in by_f
        if isinstance(of_f, Mapping)
        and (counts := _counts(of_f, "before", "during", "after")) is not None
    ]
    if not each:
        return None
    return sum(one[0] for one in each), sum(one[1] for one in each), sum(one[2] for one in each)


def _counts(value: Mapping[str, Any], *names: str) -> Counts | None:
    before, during, after = (value.get(name) for name in names)
    if isinstance(before, int) and isinstance(during, int) and isinstance(after, int):
        return before, during, after
    return None


def _details(results: Results, checker: str) -> Mapping[str, Any]:
    return next((each.details for each in results.results if each.checker == checker), {})
