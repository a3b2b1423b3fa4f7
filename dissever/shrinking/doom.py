"""
From when on a run was bound to fail: the share of its continuations that fail, moment by moment.

On a simulated system a run is repeated exactly up to a moment, and everything after it is drawn
from other seeds. The share of continuations that fail says how doomed the run was by then. Moments
are put where the share jumps, until the jump lies between two of them that are close. What a fault
has to do with it is asked of continuations that lack this one fault.

On real nodes nothing can be repeated exactly. There a moment means the faults that had struck by
then, and later ones are left out.

Source: reruns from branching points are what Antithesis does inside of its virtual machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from dissever.harness.events import Event, Type
from dissever.harness.plan import Reseed, stream
from dissever.nemesis.faults import FAULTS, without_target
from dissever.nemesis.plans.script import Step
from dissever.proportions import wilson
from dissever.reports.insight import Chance, Doom, Named
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.passes import AFTER_S
from dissever.shrinking.shrink import CannotShrink, Deadline, Original
from dissever.shrinking.trials import Task, Tries

__all__ = ["doom", "next_moment"]

GRID: Final = 8
"""In how many equal parts the time until the failure is looked at first."""

CLOSE_S: Final = 0.002
"""Moments that are this close are not told apart."""

JUMP: Final = 0.15
"""A smaller rise of the share is not looked at more closely."""

MORE: Final = 8
"""How many times as many continuations there are at most to tell a fault from chance."""

FAULTS_MAX: Final = 12
"""Continuations lack one of at most so many faults: the last ones before the failure."""

FIXED: Final = "The operations are as recorded in all continuations."

Heard = Callable[[Chance], None]


def doom(
    original: Original, tries: Tries, *, continuations: int, moments: int, heard: Heard
) -> Doom:
    """
    The curve of a run, and the fault that it names.

    Args:
        continuations: How many there are of each moment.
        moments: How many moments there are at most.
        heard: Called with each moment once its continuations have been judged.

    Raises:
        CannotShrink: When the run does not fail again.
    """
    base, end_s, notes = _base(original, tries)
    source = _Source(original, base, continuations)
    points: dict[float, Chance] = {}
    missing: list[tuple[Step, Chance]] = []

    def look(time_s: float) -> None:
        tasks = source.continued(base, time_s)
        points[time_s] = _chance(time_s, tries, tasks)
        heard(points[time_s])

    try:
        for step in source.steps(end_s):
            before_s = max(0.0, step.at - CLOSE_S)
            if before_s not in points and original.is_exact:
                look(before_s)
            without = _without(base, step)
            lacking = _chance(step.at, tries, source.continued(without, before_s))
            if original.is_exact:
                for share in source.more():
                    if not _may_differ(points[before_s], lacking):
                        break
                    more = _chance(before_s, tries, source.continued(base, before_s, share))
                    points[before_s] = _both(points[before_s], more)
                    more = _chance(step.at, tries, source.continued(without, before_s, share))
                    lacking = _both(lacking, more)
            missing.append((step, lacking))
        for time_s in source.first_moments(end_s):
            if all(abs(time_s - known) > CLOSE_S for known in points):
                look(time_s)
        while len(points) < moments and original.is_exact:
            shares = {time_s: _share(point) for time_s, point in points.items()}
            following = next_moment(shares)
            if following is None:
                break
            look(following)
    except (Deadline, KeyboardInterrupt):
        notes.append("The search was ended early, so moments may be missing.")
        if untried := len(source.steps(end_s)) - len(missing):
            notes.append(f"Not tried: what {untried} of the faults had to do with it.")
    named = _named(original.judged.history.events, points, missing, original.is_exact)
    notes += [_lacked(step, chance) for step, chance in missing]
    if not source.steps(end_s):
        notes.append("No fault had struck before it failed.")
    return Doom(
        moments=tuple(points[time_s] for time_s in sorted(points)),
        named=named,
        runs=sum(each.n for each in (*points.values(), *(chance for _, chance in missing))),
        signature=original.signature,
        notes=tuple(notes),
    )


def next_moment(shares: Mapping[float, float]) -> float | None:
    """The middle of the steepest rise between moments that can be told apart, or None."""
    rises = [
        (shares[after] - shares[before], before, after)
        for before, after in pairwise(sorted(shares))
        if after - before > 2 * CLOSE_S and shares[after] - shares[before] >= JUMP
    ]
    if not rises:
        return None
    _, before, after = max(rises, key=lambda rise: (rise[0], rise[2] - rise[1]))
    return round((before + after) / 2, 6)


def _base(original: Original, tries: Tries) -> tuple[Candidate, float, list[str]]:
    """The run that is continued, when it had failed, and what is to be said of it."""
    drawn = msgspec.structs.replace(original.candidate, operations=None)
    end_s = drawn.options.time_limit_s
    if not original.is_exact:
        return drawn, end_s, ["On real nodes a moment means: only faults that began before it."]
    if original.guilty_s is not None:
        end_s = min(end_s, original.guilty_s)
    as_asked = msgspec.structs.replace(original.as_asked, operations=None)
    ways = [drawn, original.candidate, as_asked, original.as_asked]
    ways = ([original.as_planned] if original.as_planned else []) + ways
    # Cut short first: that costs less, but what clients read at the end may then fail otherwise.
    for each in (*(way.until(end_s + AFTER_S) for way in ways), *ways):
        ((_, answer),) = tries([Task(each, 0)])
        if answer.failed:
            return each, end_s, [] if each.operations is None else [FIXED]
    raise CannotShrink("the recorded run does not fail in the same way when it is repeated")


class _Source:
    """Makes the continuations of a run."""

    def __init__(self, original: Original, base: Candidate, count: int) -> None:
        self._is_exact = original.is_exact
        self._base = base
        rng = stream(base.options.seed, "doom")
        drawn = [rng.randrange(1 << 32) for _ in range(count * MORE)]
        self._seeds, self._others = drawn[:count], drawn[count:]

    def first_moments(self, end_s: float) -> list[float]:
        """A grid, and where faults begin and end."""
        steps = [step for step in self._base.faults if step.at < end_s]
        if not self._is_exact:
            return sorted({0.0, *(round(step.at + CLOSE_S, 6) for step in steps)})
        edges = [step.at for step in steps] + [step.at + (step.for_s or 0.0) for step in steps]
        grid = [end_s * number / GRID for number in range(GRID + 1)]
        return _apart([0.0, end_s, *edges, *grid], end_s)

    def steps(self, end_s: float) -> list[Step]:
        """The faults that are asked about."""
        return [step for step in self._base.faults if step.at < end_s][-FAULTS_MAX:]

    def more(self) -> Iterator[list[int]]:
        """Seeds of more continuations, as many as there were before each time."""
        count = done = len(self._seeds)
        while done < count * MORE:
            yield self._others[done - count : 2 * done - count]
            done *= 2

    def continued(
        self, candidate: Candidate, time_s: float, seeds: Sequence[int] = ()
    ) -> Iterator[Task]:
        """The continuations of a candidate from a moment on; with these seeds, or the first."""
        if self._is_exact:
            for seed in seeds or self._seeds:
                yield Task(candidate.changed(reseed=Reseed(time_s, seed)), 0)
            return
        kept = tuple(step for step in candidate.faults if step.at < time_s)
        cut = msgspec.structs.replace(candidate, faults=kept)
        if candidate is not self._base:
            cut = candidate
        for number in range(len(self._seeds)):
            yield Task(cut, number)


def _apart(times: Sequence[float], end_s: float) -> list[float]:
    """The times up to the end that can be told apart, in order; the first ones count more."""
    kept: list[float] = []
    for time_s in times:
        rounded = round(time_s, 6)
        if 0 <= rounded <= end_s and all(abs(rounded - other) > CLOSE_S for other in kept):
            kept.append(rounded)
    return sorted(kept)


def _without(candidate: Candidate, step: Step) -> Candidate:
    left = tuple(each for each in candidate.faults if each is not step)
    return msgspec.structs.replace(candidate, faults=left)


def _chance(time_s: float, tries: Tries, tasks: Iterator[Task]) -> Chance:
    answers = [answer for _, answer in tries(tasks) if not (answer.broke or answer.is_unfit)]
    failed = sum(answer.failed for answer in answers)
    low, high = wilson(failed, len(answers))
    return Chance(round(time_s * 1e9), failed, len(answers), round(low, 4), round(high, 4))


def _both(one: Chance, other: Chance) -> Chance:
    """Of the continuations of both."""
    failed, runs = one.k + other.k, one.n + other.n
    low, high = wilson(failed, runs)
    return Chance(one.time, failed, runs, round(low, 4), round(high, 4))


def _may_differ(kept: Chance, lacking: Chance) -> bool:
    """Whether more continuations may show that fewer fail without a fault than with it."""
    is_promising = _share(kept) > _share(lacking) or kept.k == lacking.k == 0
    return is_promising and lacking.high >= kept.low


def _share(chance: Chance) -> float:
    return chance.k / chance.n if chance.n else 0.0


def _lacked(step: Step, chance: Chance) -> str:
    return f"Without {step.fault} at {step.at:.3f} s {chance.k} of {chance.n} continuations fail."


def _named(
    events: Sequence[Event],
    points: Mapping[float, Chance],
    missing: Sequence[tuple[Step, Chance]],
    is_exact: bool,
) -> Named | None:
    """The fault without which fewest continuations fail, if the intervals are apart."""
    found: list[tuple[float, float, Step, Chance, Chance]] = []
    for step, lacking in missing:
        kept = _kept(step, points, is_exact)
        if kept is not None and lacking.n and lacking.high < kept.low:
            fewer = _share(kept) - _share(lacking)
            found.append((fewer, step.at, step, kept, lacking))
    if found:
        _, _, step, kept, lacking = max(found, key=lambda each: each[:2])
        text = (
            f"{step.fault} at {step.at:.3f} s: of the continuations from then on {kept.k} of"
            f" {kept.n} fail with it, and {lacking.k} of {lacking.n} without it."
        )
    elif not is_exact and (jump := _jump(points, [step for step, _ in missing])) is not None:
        step, before, after = jump
        lacking = next(chance for each, chance in missing if each is step)
        text = (
            f"{step.fault} at {step.at:.3f} s: {after.k} of {after.n} runs fail with the faults up"
            f" to it, and {before.k} of {before.n} with those before it. Without it,"
            f" {lacking.k} of {lacking.n} fail by the others."
        )
    else:
        return None
    name = without_target(step.fault)
    index, end_ns = _recorded(events, name, step)
    return Named(name, text, index, round(step.at * 1e9), end_ns)


def _jump(
    points: Mapping[float, Chance], steps: Sequence[Step]
) -> tuple[Step, Chance, Chance] | None:
    """
    The first fault of real nodes that makes enough runs fail by its own: the moments before and
    after it. Where several faults do the same, leaving out a single one makes no difference.
    """
    moments = sorted(points)
    for before, after in pairwise(moments):
        begun = [step for step in steps if before <= step.at < after]
        if len(begun) == 1 and points[before].high < points[after].low:
            return begun[0], points[before], points[after]
    return None


def _kept(step: Step, points: Mapping[float, Chance], is_exact: bool) -> Chance | None:
    """How often it fails with the fault: from just before it strikes, or with all faults."""
    if not is_exact:
        return points[max(points)] if points else None
    return points.get(max(0.0, step.at - CLOSE_S))


def _recorded(events: Sequence[Event], name: str, step: Step) -> tuple[int | None, int]:
    """The event of its injection in the recorded run, and when it had healed there."""
    at_ns = round(step.at * 1e9)
    last = FAULTS[name].steps[-1]
    own = [event for event in events if event.process == name and event.time >= at_ns - 1]
    if not own or own[0].time > at_ns + 1:
        return None, round((step.at + (step.for_s or 0.0)) * 1e9)
    healed = (each.time for each in own if each.f == last and each.type is not Type.INVOKE)
    return own[0].index, next(healed, events[-1].time)
