"""
Shrink a recorded run: from its directory to the smallest run found that fails in the same way.

    shrunk = shrink(read_original(run), tries, say=print)

The search ends when nothing can be left out any more, when its time is up, or with Ctrl-C; what was
found by then is the result. All answers are in a journal, so the same search, asked again, goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from dissever import planning
from dissever.checkers.invariants import RUN_CHECKER as INVARIANTS
from dissever.harness import store
from dissever.harness.history import Event
from dissever.harness.results import Anomaly, Results, Verdict
from dissever.harness.runner import INTERRUPTED
from dissever.harness.trace import VIOLATION
from dissever.judging import Judged, judge
from dissever.nemesis.plans.operations import ClientOp
from dissever.shrinking.candidate import Candidate, first_candidate, planned_candidate
from dissever.shrinking.closeup import close_up, named_operations
from dissever.shrinking.ending import Last, last_of
from dissever.shrinking.passes import AFTER_S, passes
from dissever.shrinking.reduction import Search
from dissever.shrinking.sequential import Test, strict_test_of, test_of
from dissever.shrinking.trials import (
    Decide,
    Task,
    Tries,
    decide_exactly,
    decide_statistically,
    fails,
)
from dissever.signature import Signature, shown
from dissever.systems import load
from dissever.traces import lines_of

__all__ = ["CannotShrink", "Deadline", "Original", "Shrunk", "read_original", "shrink"]

ROUNDS_MAX = 10
"""
How often all passes are made; each round but the last makes something smaller. On real nodes, where
a round takes minutes and finds little that the first one did not, they are made once.
"""

ORIGINAL_MAX = 30
"""How often the recorded run is tried again, at most, until it has failed often enough."""

FAILURES = 5
"""How often that is."""

FRESH = 1_000_000
"""The first number of attempts that have decided nothing about their candidate yet."""

SELDOM = "what is smaller failed less often when it was tried again"
"""Why the smallest candidate of a search on real nodes is not the last one."""

LEAD = 2
"""Of two ways to repeat the recorded run, the one that has failed so often first is taken."""


class CannotShrink(Exception):
    """There is nothing to shrink, or the run does not fail again; the message says which."""


class Deadline(Exception):
    """The time is up."""


@dataclass(frozen=True, slots=True)
class Original:
    """
    A recorded run that failed.

    `signature` is how. The faults of `candidate` strike the nodes that were struck, those of
    `as_asked` whom they were asked to strike. `as_planned` is the plan of the run; None: it was
    drawn. `guilty_s` is when the anomaly was complete; None: nobody knows. `last` is the last step
    of its end that an attempt needs; None: all of them. `named` are the operations of the anomaly.
    """

    run: Path
    judged: Judged
    signature: str
    candidate: Candidate
    as_asked: Candidate
    guilty_s: float | None
    is_exact: bool
    last: Last | None = None
    as_planned: Candidate | None = None
    named: tuple[ClientOp, ...] = ()


@dataclass(frozen=True, slots=True)
class Shrunk:
    """
    What came of it.

    `is_whole`: nothing more can be left out; otherwise `why` says what ended the search. `failed`
    of `runs` attempts at the recorded run failed, where a sequential test decided by them.
    """

    candidate: Candidate
    is_whole: bool
    why: str = ""
    failed: int = 0
    runs: int = 0


def read_original(run: Path, signature: str = "") -> Original:
    """
    Read a run directory.

    Args:
        signature: The failure to keep; empty: that of the verdict.

    Raises:
        CannotShrink: When the run is valid, or does not have that failure.
        OSError, FormatError, BrokenFile: As `judge`.
    """
    plan = store.read_plan(run)
    judged = judge(run)
    results = judged.results
    if results.verdict is not Verdict.INVALID:
        verdict = results.verdict.word
        raise CannotShrink(f"expected an invalid run, got one that is {verdict}: {results.why}")
    wanted = signature or results.signature
    try:
        anomalies = shown(results, wanted)
    except ValueError as error:
        raise CannotShrink(str(error)) from error
    events = judged.history.events
    guilty_ns = _guilty_ns(run, anomalies, events)
    is_exact = plan.options.backend.is_virtual
    schedule = run / store.SCHEDULE
    # What only a simulation knows costs time, and is needed only for the roles of servers.
    needs_roles = bool(Signature.parsed(wanted).role)
    options = structs.replace(plan.options, trace=needs_roles, reseed=None)
    budget = planning.budget(options, load(options.system))
    candidate, as_asked = (
        first_candidate(
            options,
            schedule=schedule.read_text(encoding="utf-8") if schedule.exists() else "",
            events=events,
            budget=budget,
            are_named=are_named,
        )
        for are_named in (True, False)
    )
    return Original(
        run,
        judged,
        wanted,
        _fitting(candidate),
        _fitting(as_asked),
        None if guilty_ns is None else guilty_ns / 1e9,
        is_exact,
        None if is_exact else last_of(guilty_ns, events),
        planned_candidate(options, budget=budget),
        _named(anomalies, results, events, candidate),
    )


def _named(
    shown: Sequence[Anomaly], results: Results, events: Sequence[Event], candidate: Candidate
) -> tuple[ClientOp, ...]:
    """
    The operations of the anomaly that was complete first, of those that are looked for.

    Where these name none, such as replicas that differ at the end, those of another anomaly: what
    went wrong in a run often shows in several ways.
    """
    every = [each for result in results.results for each in result.anomalies]
    for anomalies in (shown, every):
        for each in sorted(anomalies, key=lambda each: max(each.indices, default=0)):
            if named := named_operations(each.indices, events, candidate):
                return named
    return ()


def _guilty_ns(run: Path, shown: Sequence[Anomaly], events: Sequence[Event]) -> int | None:
    """
    When a failure was complete; None: nobody knows.

    What has no operations is an invariant that broke, or what a node or its log said at its end,
    such as a crash.
    """
    if ends := [max(each.indices) for each in shown if each.indices]:
        times = {event.index: event.time for event in events}
        return times.get(min(ends))
    broken = {
        each.name for each in shown if Signature.parsed(each.signature).checker == INVARIANTS.name
    }
    if broken:
        lines = (line for line in lines_of(run) if line.kind == VIOLATION and line.name in broken)
        return min((line.time for line in lines if line.time >= 0), default=None)
    nodes = dict.fromkeys(each.summary.partition(":")[0] for each in shown)
    exits = (end for node in nodes for end in store.read_exits(run, node) if not end.is_asked)
    return min((end.time_ns for end in exits if end.time_ns is not None), default=None)


def _fitting(candidate: Candidate) -> Candidate:
    """
    The candidate with a budget that its faults fit in: with triggers that were late, they may seem
    to strike more nodes at a time than they did.

    Raises:
        CannotShrink: When such a plan cannot be made.
    """
    system = load(candidate.options.system)
    every = structs.replace(candidate, budget=len(candidate.options.nodes))
    for last, each in ((False, candidate), (True, every)):
        try:
            planning.checked(each.asked, system)
        except ValueError as error:
            if last:
                raise CannotShrink(f"the recorded run cannot be planned again: {error}") from error
        else:
            return each
    raise AssertionError("the last one returns or raises")


def shrink(
    original: Original,
    tries: Tries,
    *,
    found: Callable[[str, Candidate], None],
    limit: int = ORIGINAL_MAX,
) -> Shrunk:
    """
    Search for the smallest run that fails in the same way.

    Args:
        tries: Makes attempts; it may raise `Deadline` or KeyboardInterrupt, which end the search.
        found: Called with the name of the pass and each candidate that failed.
        limit: How many attempts a candidate gets at most on real nodes.

    Raises:
        CannotShrink: When the run does not fail again.
    """
    seed = original.candidate.options.seed
    failed = runs = 0
    if original.is_exact:
        decide = decide_exactly(tries, seed)
        current = _as_recorded(original, decide)
    else:
        current = _more_often(original, tries, limit)
        failed, runs = _measured(current, tries, limit)
        decide = decide_statistically(tries, test_of(failed, runs, limit))
    chain = [current]
    found("repeated", current)

    def heard(name: str, best: Candidate) -> None:
        chain.append(best)
        found(name, best)

    try:
        if original.is_exact:
            make = passes(original.guilty_s)["shorter"]
            current = _played("shorter", make(current), current, decide, heard)
            near = close_up(current, original.candidate, original.named)
            current = _played("close-up", near, current, decide, heard)
        for _ in range(ROUNDS_MAX if original.is_exact else 1):
            before = current
            for name, make in passes(original.guilty_s, is_exact=original.is_exact).items():
                current = _played(name, make(current), current, decide, heard)
            if current == before:
                break
        if not original.is_exact:
            kept = _kept(chain, tries, strict_test_of(failed, runs, limit), found)
            if kept != current:
                return Shrunk(kept, False, SELDOM, failed, runs)
    except Stopped as stopped:
        return Shrunk(stopped.best, False, stopped.why, failed, runs)
    return Shrunk(current, True, failed=failed, runs=runs)


def _kept(
    chain: Sequence[Candidate], tries: Tries, test: Test, found: Callable[[str, Candidate], None]
) -> Candidate:
    """
    The smallest that fails often enough in attempts that had no part in choosing it.

    Among a hundred candidates some were accepted by luck, and each that follows from one fails as
    seldom. So the last one is tried again, and if it does not hold, one before it, by bisection.

    Args:
        chain: The recorded run as it was repeated, and each candidate that was accepted, in order.

    Raises:
        Stopped: When the time is up, or with Ctrl-C.
    """
    best, low, high = 0, 1, len(chain) - 1
    place = high
    try:
        while low <= high:
            if fails(tries, test, chain[place], FRESH):
                best, low = place, place + 1
            else:
                high = place - 1
                found("tried again", chain[high])
            place = (low + high) // 2
    except Deadline:
        raise Stopped(chain[high], "the time is up") from None
    except KeyboardInterrupt:
        raise Stopped(chain[high], INTERRUPTED) from None
    return chain[best]


class Stopped(Exception):
    """The search was ended; `best` is the smallest candidate that failed."""

    def __init__(self, best: Candidate, why: str) -> None:
        super().__init__(why)
        self.best = best
        self.why = why


def _played(
    name: str,
    search: Search[Candidate],
    best: Candidate,
    decide: Decide,
    found: Callable[[str, Candidate], None],
) -> Candidate:
    """
    Answer the questions of a search.

    Raises:
        Stopped: When the time is up, or with Ctrl-C.
    """
    try:
        asked = next(search)
        while True:
            answer = decide(asked)
            if answer is not None:
                best = answer[1]
                found(name, best)
            asked = search.send(answer)
    except StopIteration as end:
        result: Candidate = end.value
        return result
    except Deadline:
        raise Stopped(best, "the time is up") from None
    except KeyboardInterrupt:
        raise Stopped(best, INTERRUPTED) from None


def _as_recorded(original: Original, decide: Decide) -> Candidate:
    """
    The recorded run as it fails again, tried with one seed after another: as its plan says, with
    recorded operations or drawn ones, with faults that strike the same nodes or whom they were
    asked to strike, whole or until just after the failure.

    Raises:
        CannotShrink: When none of these fails.
    """
    every = [original.candidate, original.as_asked]
    every += [structs.replace(each, operations=None) for each in every]
    if original.guilty_s is not None:
        every += [each.until(original.guilty_s + AFTER_S) for each in every]
    every = ([original.as_planned] if original.as_planned else []) + every
    if (answer := decide(every)) is not None:
        return answer[1]
    raise CannotShrink("the recorded run does not fail in the same way when it is repeated")


def _more_often(original: Original, tries: Tries, limit: int) -> Candidate:
    """
    The recorded run with faults that strike whom they were asked to strike, or the nodes that were
    struck: the one that fails `LEAD` times first, when both are tried in turn.

    On real nodes another node leads each time. But who was struck may have been chance.

    Raises:
        CannotShrink: When neither of them fails.
    """
    both = (original.as_asked, original.candidate)
    drawn = [structs.replace(each, operations=None) for each in both]
    ways = {each.digest: each for each in drawn}
    if len(ways) == 1:
        return drawn[0]
    failed = dict.fromkeys(ways, 0)
    broke = ""
    turns = (Task(each, number) for number in range(limit // 2) for each in ways.values())
    with closing(tries(turns)) as answers:
        for task, answer in answers:
            digest = task.candidate.digest
            failed[digest] += answer.failed
            broke = answer.broke or broke
            if failed[digest] == LEAD:
                return ways[digest]
    if not any(failed.values()):
        raise CannotShrink(_never(2 * (limit // 2), broke))
    return max(drawn, key=lambda each: failed[each.digest])


def _never(runs: int, broke: str) -> str:
    return f"the recorded run failed in none of {runs} attempts" + (f"; {broke}" if broke else "")


def _measured(candidate: Candidate, tries: Tries, limit: int) -> tuple[int, int]:
    """How many of how many attempts fail."""
    failed = runs = 0
    broke = ""
    with closing(tries(Task(candidate, number) for number in range(limit))) as answers:
        for _, answer in answers:
            failed += answer.failed
            runs += not answer.broke and not answer.is_unfit
            broke = answer.broke or broke
            if failed == FAILURES:
                break
    if not failed:
        raise CannotShrink(_never(runs, broke))
    return failed, runs


class Clock:
    """Ends a search when its time is up."""

    def __init__(self, limit_s: float | None) -> None:
        self._until_s = None if limit_s is None else time.monotonic() + limit_s

    def check(self) -> None:
        """Raises Deadline when the time is up."""
        if self._until_s is not None and time.monotonic() > self._until_s:
            raise Deadline
