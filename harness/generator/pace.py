"""Generators in time: rates, delays, windows, schedules. Durations in seconds, state in ns."""

from __future__ import annotations

from typing import Any

import msgspec

from dissever.harness.generator.core import (
    PENDING,
    Answer,
    Context,
    Generator,
    at,
)
from dissever.harness.generator.lift import generator
from dissever.harness.history import Event


class TimeLimit(msgspec.Struct, frozen=True):
    """A window that opens at the first step; a step at its end or later ends it."""

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

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else TimeLimit(self.duration_ns, inner, self.end_ns)


class Stagger(msgspec.Struct, frozen=True):
    """
    Gaps drawn uniformly from 0 to twice the mean, over all threads together.

    The rate is a total, not one per thread. What was missed is not caught up with.
    """

    mean_gap_ns: int
    inner: Generator
    next_ns: int | None = None

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if step is PENDING:
            return step, Stagger(self.mean_gap_ns, inner, self.next_ns)
        time = step.time if self.next_ns is None else max(step.time, self.next_ns)
        gap = int(context.rng.random() * 2 * self.mean_gap_ns)
        return at(step, time), Stagger(self.mean_gap_ns, inner, time + gap)

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Stagger(self.mean_gap_ns, inner, self.next_ns)


class Delay(msgspec.Struct, frozen=True):
    """Steps exactly so far apart; faster when it is behind, until it has caught up."""

    gap_ns: int
    inner: Generator
    next_ns: int | None = None

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if step is PENDING:
            return step, Delay(self.gap_ns, inner, self.next_ns)
        due = step.time if self.next_ns is None else self.next_ns
        return at(step, max(step.time, due)), Delay(self.gap_ns, inner, due + self.gap_ns)

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Delay(self.gap_ns, inner, self.next_ns)


class CycleTimes(msgspec.Struct, frozen=True):
    """
    A rotating schedule: each member has the word for its time, and goes on where it was in its next
    turn. The schedule begins at the first step, and ends with the first member that does.
    """

    durations_ns: tuple[int, ...]
    members: tuple[Generator, ...]
    start_ns: int | None = None

    def next(self, context: Context) -> Answer:
        start = context.time if self.start_ns is None else self.start_ns
        period = sum(self.durations_ns)
        time = context.time
        # Each gets a look: within its turn its step counts, after it the next one is asked.
        for _ in range(len(self.members) + 1):
            turn, end = self._turn(time - start)
            end += start + (time - start) // period * period
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

    def update(self, context: Context, event: Event) -> Generator:
        members = tuple(member.update(context, event) for member in self.members)
        return CycleTimes(self.durations_ns, members, self.start_ns)

    def _turn(self, since_start_ns: int) -> tuple[int, int]:
        """Whose turn it is, and when in the period it ends."""
        within = since_start_ns % sum(self.durations_ns)
        end = 0
        for turn, duration in enumerate(self.durations_ns):
            end += duration
            if within < end:
                return turn, end
        raise AssertionError("a time within the period belongs to a turn")


def time_limit(duration_s: float, source: Any) -> Generator:
    """The source for so long, counted from its first step."""
    return TimeLimit(round(duration_s * 1e9), generator(source))


def stagger(mean_gap_s: float, source: Any) -> Generator:
    """The source with random gaps of that mean, over all threads together."""
    return Stagger(round(mean_gap_s * 1e9), generator(source))


def rate(per_second: float, source: Any) -> Generator:
    """The source at that mean rate, over all threads together."""
    return stagger(1 / per_second, source)


def delay(gap_s: float, source: Any) -> Generator:
    """The source with steps exactly so far apart."""
    return Delay(round(gap_s * 1e9), generator(source))


def cycle_times(*durations_and_sources: Any) -> Generator:
    """
    `cycle_times(5, quiet, 10, storm)`: five seconds of the one, ten of the other, again and again.

    Raises:
        ValueError: When durations and sources do not pair up, or a duration is not positive.
    """
    durations = tuple(round(d * 1e9) for d in durations_and_sources[::2])
    if len(durations_and_sources) % 2 or not durations or min(durations) <= 0:
        raise ValueError("expected pairs of a positive duration and a source")
    return CycleTimes(durations, tuple(generator(s) for s in durations_and_sources[1::2]))
