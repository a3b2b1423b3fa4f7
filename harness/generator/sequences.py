"""Generators one after another: repetition, limits, phases."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator.core import (
    PENDING,
    Answer,
    Context,
    Generator,
    Log,
    Once,
    Sleep,
    pass_on,
    pass_on_to_all,
)
from dissever.harness.generator.lift import generator
from dissever.harness.history import Event, Type


class Lazy(msgspec.Struct, frozen=True):
    """A generator that is made, once, when it could first invoke something: for late phases."""

    make: Callable[[], Generator]

    def next(self, context: Context) -> Answer:
        if context.some_free_process() is None:
            return PENDING, self
        return self.make().next(context)

    def update(self, context: Context, event: Event) -> Generator:
        return self


class Limit(msgspec.Struct, frozen=True):
    """At most `remaining` steps."""

    remaining: int
    inner: Generator

    def next(self, context: Context) -> Answer:
        if self.remaining <= 0:
            return None
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        return step, Limit(self.remaining - (step is not PENDING), inner)

    update = pass_on


class Repeat(msgspec.Struct, frozen=True):
    """Ask the same state again, for ever (remaining < 0) or `remaining` times."""

    remaining: int
    inner: Generator

    def next(self, context: Context) -> Answer:
        if self.remaining == 0:
            return None
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, _ = answer
        if step is PENDING or self.remaining < 0:
            return step, self
        return step, Repeat(self.remaining - 1, self.inner)

    update = pass_on


class Cycle(msgspec.Struct, frozen=True):
    """The original from its start, for ever (remaining < 0) or `remaining` times."""

    remaining: int
    original: Generator
    current: Generator

    def next(self, context: Context) -> Answer:
        if self.remaining == 0:
            return None
        answer = self.current.next(context)
        if answer is not None:
            return answer[0], Cycle(self.remaining, self.original, answer[1])
        if self.remaining == 1:
            return None
        answer = self.original.next(context)
        if answer is None:
            return None
        return answer[0], Cycle(max(self.remaining - 1, -1), self.original, answer[1])

    def update(self, context: Context, event: Event) -> Generator:
        return Cycle(self.remaining, self.original, self.current.update(context, event))


class Synchronize(msgspec.Struct, frozen=True):
    """Wait until everyone in sight is free, then go on as the inner one."""

    inner: Generator

    def next(self, context: Context) -> Answer:
        if context.free != context.everyone:
            return PENDING, self
        return self.inner.next(context)

    update = pass_on


class UntilOk(msgspec.Struct, frozen=True):
    """Ends once one of its own operations completed ok."""

    inner: Generator
    active: frozenset[int | str] = frozenset()
    is_done: bool = False

    def next(self, context: Context) -> Answer:
        if self.is_done:
            return None
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        active = self.active | {step.process} if isinstance(step, Invocation) else self.active
        return step, UntilOk(inner, active, self.is_done)

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.inner.update(context, event)
        if event.type is Type.INVOKE or event.process not in self.active:
            return UntilOk(inner, self.active, self.is_done)
        return UntilOk(inner, self.active - {event.process}, self.is_done or event.type is Type.OK)


class FlipFlop(msgspec.Struct, frozen=True):
    """One step of each in turn; ends when the one whose turn it is is exhausted."""

    members: tuple[Generator, ...]
    turn: int = 0

    def next(self, context: Context) -> Answer:
        answer = self.members[self.turn].next(context)
        if answer is None:
            return None
        step, member = answer
        members = (*self.members[: self.turn], member, *self.members[self.turn + 1 :])
        turn = self.turn if step is PENDING else (self.turn + 1) % len(members)
        return step, FlipFlop(members, turn)

    update = pass_on_to_all


def limit(count: int, source: Any) -> Generator:
    """At most `count` steps of the source: `limit(3, mix(reads, writes))`."""
    return Limit(count, generator(source))


def once(source: Any) -> Generator:
    """One step of the source: `once(mix(reads, writes))`."""
    return Limit(1, generator(source))


def repeat(source: Any, count: int | None = None) -> Generator:
    """The first step again and again, for ever or `count` times: `repeat(read, 5)`."""
    return Repeat(-1 if count is None else count, generator(source))


def cycle(source: Any, count: int | None = None) -> Generator:
    """The whole source again and again, for ever or `count` times: `cycle([start, stop])`."""
    original = generator(source)
    return Cycle(-1 if count is None else count, original, original)


def lazy(make: Callable[[], Any]) -> Generator:
    """What `make` gives, once, when a step can be taken: `phases(work, lazy(lambda: later))`."""
    return Lazy(cache(lambda: generator(make())))


def synchronize(source: Any) -> Generator:
    """The source, once everyone in sight is free: `[writes, synchronize(reads)]`."""
    return Synchronize(generator(source))


def phases(*sources: Any) -> Generator:
    """One after another; each waits until everyone is free: `phases(work, heal, final_reads)`."""
    return generator([synchronize(source) for source in sources])


def until_ok(source: Any) -> Generator:
    """The source until one of its own operations is ok: `until_ok(limit(5, repeat(read)))`."""
    return UntilOk(generator(source))


def flip_flop(*sources: Any) -> Generator:
    """One step of each in turn, until one whose turn it is has ended: `flip_flop(adds, reads)`."""
    return FlipFlop(tuple(generator(source) for source in sources))


def sleep(duration_s: float) -> Generator:
    """One process is busy for as many seconds; it leaves no event: `nemesis([sleep(10), cut])`."""
    return Once(Sleep(round(duration_s * 1e9)))


def log(message: str) -> Generator:
    """One line in the log, at INFO: `phases(work, log("healing"), heal)`."""
    return Once(Log(message))
