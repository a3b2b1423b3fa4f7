"""Generators in time: limits, rates, schedules. Arguments are in seconds, state is in ns."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any

import msgspec

from dissever.harness.generator.core import (
    PENDING,
    Answer,
    Context,
    Generator,
    at,
    pass_on,
    pass_on_to_all,
)
from dissever.harness.generator.lift import generator


class TimeLimit(msgspec.Struct, frozen=True):
    """It begins with the first step; a step `duration_ns` later, or after that, is not taken."""

    duration_ns: int
    inner: Generator
    end_ns: int | None = None

    def next(self, context: Context) -> Answer:
        if self.end_ns is not None and context.time >= self.end_ns:
            return None
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if step is PENDING:
            return step, TimeLimit(self.duration_ns, inner, self.end_ns)
        end_ns = self.end_ns if self.end_ns is not None else step.time + self.duration_ns
        if step.time >= end_ns:
            return None
        return step, TimeLimit(self.duration_ns, inner, end_ns)

    update = pass_on


class Paced(msgspec.Struct, frozen=True):
    """
    Steps with a gap between them, over all threads together: a rate is a total, not one per thread.

    Random gaps are drawn uniformly from 0 to twice `gap_ns`, and steps that nobody was free for are
    lost. Other gaps are `gap_ns`, and missed steps are caught up with.
    """

    gap_ns: int
    is_random: bool
    inner: Generator
    next_ns: int | None = None

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if step is PENDING:
            return step, Paced(self.gap_ns, self.is_random, inner, self.next_ns)
        due = step.time if self.next_ns is None else self.next_ns
        time = max(step.time, due)
        if self.is_random:
            next_ns = time + int(context.rng.random() * 2 * self.gap_ns)
        else:
            next_ns = due + self.gap_ns
        return at(step, time), Paced(self.gap_ns, self.is_random, inner, next_ns)

    update = pass_on


class CycleTimes(msgspec.Struct, frozen=True):
    """
    Members take turns, each for its time, and go on where they were in their next turn. It begins
    at the first step, and ends with the first member that ends.
    """

    durations_ns: tuple[int, ...]
    members: tuple[Generator, ...]
    start_ns: int | None = None

    def next(self, context: Context) -> Answer:
        start = context.time if self.start_ns is None else self.start_ns
        ends = tuple(accumulate(self.durations_ns))
        time = context.time
        # Each gets a look: within its turn its step counts, after it the next one is asked.
        for _ in range(len(self.members) + 1):
            periods, within = divmod(time - start, ends[-1])
            turn = bisect_right(ends, within)
            end = start + periods * ends[-1] + ends[turn]
            answer = self.members[turn].next(msgspec.structs.replace(context, time=time))
            if answer is None:
                return None
            step, rest = answer
            if step is PENDING:
                return PENDING, self
            if step.time < end:
                members = (*self.members[:turn], rest, *self.members[turn + 1 :])
                return step, CycleTimes(self.durations_ns, members, start)
            time = end
        return PENDING, self

    update = pass_on_to_all


def time_limit(duration_s: float, source: Any) -> Generator:
    """The source for some seconds, counted from its first step: `time_limit(30, work)`."""
    return TimeLimit(round(duration_s * 1e9), generator(source))


def stagger(mean_gap_s: float, source: Any) -> Generator:
    """Random gaps of that mean in seconds, over all threads together: `stagger(0.1, writes)`."""
    return Paced(round(mean_gap_s * 1e9), True, generator(source))


def rate(per_second: float, source: Any) -> Generator:
    """The same, as a mean rate: `rate(10, writes)` is `stagger(0.1, writes)`."""
    return stagger(1 / per_second, source)


def delay(gap_s: float, source: Any) -> Generator:
    """A step every `gap_s` seconds; what was missed is caught up with: `delay(5, faults)`."""
    return Paced(round(gap_s * 1e9), False, generator(source))


def cycle_times(*durations_and_sources: Any) -> Generator:
    """
    Sources that take turns, each for its time in seconds: `cycle_times(5, quiet, 10, storm)`.

    Raises:
        ValueError: When durations and sources do not pair up, or a duration is not positive.
    """
    durations = tuple(round(d * 1e9) for d in durations_and_sources[::2])
    if len(durations_and_sources) % 2 or not durations or min(durations) <= 0:
        raise ValueError("expected pairs of a positive duration and a source")
    return CycleTimes(durations, tuple(generator(s) for s in durations_and_sources[1::2]))
