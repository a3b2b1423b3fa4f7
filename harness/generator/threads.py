"""Generators at the same time: which thread takes which step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from operator import eq
from typing import Any

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator.core import (
    PENDING,
    Answer,
    Context,
    Generator,
    Offers,
    Thread,
    pass_on,
    pass_on_to_all,
)
from dissever.harness.generator.lift import generator
from dissever.harness.history import Event, Process


class OnThreads(msgspec.Struct, frozen=True):
    """
    Only threads that the predicate accepts, and only their events; none in sight: exhausted.

    `mask` is worked out once.
    """

    predicate: Callable[[Thread], bool]
    inner: Generator
    mask: int = -1

    def next(self, context: Context) -> Answer:
        mask = self.mask if self.mask >= 0 else _mask(self.predicate, context)
        if not context.free & mask:
            return (PENDING, self) if context.everyone & mask else None
        answer = self.inner.next(context.limited(mask))
        if answer is None:
            return None
        return answer[0], OnThreads(self.predicate, answer[1], mask)

    def update(self, context: Context, event: Event) -> Generator:
        mask = self.mask if self.mask >= 0 else _mask(self.predicate, context)
        if not mask >> context.bit(event.process) & 1:
            return self
        inner = self.inner.update(context.limited(mask), event)
        return self if inner is self.inner else OnThreads(self.predicate, inner, mask)


class Soonest(msgspec.Struct, frozen=True):
    """
    The soonest step of all members; ties are drawn by weight.

    `is_shortest` ends it as soon as one member has ended. Updates go to all.
    """

    members: tuple[Generator, ...]
    weights: tuple[float, ...]
    is_shortest: bool = False

    def next(self, context: Context) -> Answer:
        offers = Offers()
        for i, member in enumerate(self.members):
            answer = member.next(context)
            if answer is None and self.is_shortest:
                return None
            offers.add(i, answer, self.weights[i])
        if (chosen := offers.soonest(context.rng)) is None:
            return offers.otherwise(self)
        members = _replaced(self.members, chosen.member, chosen.rest)
        return chosen.step, Soonest(members, self.weights, self.is_shortest)

    update = pass_on_to_all


class Each(msgspec.Struct, frozen=True):
    """
    An independent copy for every thread in sight, or for every process that one plays.

    `copies` are those that have begun, by thread or process.
    """

    original: Generator
    is_by_process: bool
    copies: tuple[tuple[Process, Generator], ...] = ()

    def next(self, context: Context) -> Answer:
        owners = context.processes if self.is_by_process else context.threads
        copies = dict(self.copies)
        offers = Offers(is_pending=context.busy_count > 0)
        for bit in context.free_bits():
            copy = copies.get(owners[bit], self.original)
            offers.add(bit, copy.next(context.limited(1 << bit)))
        if (chosen := offers.soonest(context.rng)) is None:
            return offers.otherwise(self)
        alive = {owner: copy for owner, copy in copies.items() if owner in owners}
        alive[owners[chosen.member]] = chosen.rest
        return chosen.step, Each(self.original, self.is_by_process, tuple(alive.items()))

    def update(self, context: Context, event: Event) -> Generator:
        bit = context.bit(event.process)
        if not context.everyone >> bit & 1:
            return self
        owner = event.process if self.is_by_process else context.threads[bit]
        copies = dict(self.copies)
        copy = copies.get(owner, self.original)
        copies[owner] = copy.update(context.limited(1 << bit), event)
        return Each(self.original, self.is_by_process, tuple(copies.items()))


class Reserve(msgspec.Struct, frozen=True):
    """
    The first threads in sight to the first member, the next to the second, the rest to the last.

    Counted within the threads in sight, so that it nests. Ties are drawn by the number of threads.
    """

    counts: tuple[int, ...]
    members: tuple[Generator, ...]

    def next(self, context: Context) -> Answer:
        offers = Offers()
        for i, mask in enumerate(_shares(self.counts, context.everyone)):
            if context.free & mask:
                offers.add(i, self.members[i].next(context.limited(mask)), mask.bit_count())
            elif mask:
                offers.is_pending = True
        if (chosen := offers.soonest(context.rng)) is None:
            return offers.otherwise(self)
        members = _replaced(self.members, chosen.member, chosen.rest)
        return chosen.step, Reserve(self.counts, members)

    def update(self, context: Context, event: Event) -> Generator:
        bit = context.bit(event.process)
        for i, mask in enumerate(_shares(self.counts, context.everyone)):
            if mask >> bit & 1:
                updated = self.members[i].update(context.limited(mask), event)
                return Reserve(self.counts, _replaced(self.members, i, updated))
        return self


class Mix(msgspec.Struct, frozen=True):
    """
    A member drawn for each step, by weight. Exhausted ones drop out, pending ones step aside.

    Updates go to all, so that a member may end after what it saw.
    """

    members: tuple[Generator, ...]
    weights: tuple[float, ...]

    def next(self, context: Context) -> Answer:
        members, weights = list(self.members), list(self.weights)
        left = list(range(len(members)))
        ended: set[int] = set()
        while left:
            i = context.rng.choices(left, [weights[j] for j in left])[0]
            answer = members[i].next(context)
            if answer is not None and answer[0] is not PENDING:
                members[i] = answer[1]
                return answer[0], self._without(members, ended)
            if answer is None:
                ended.add(i)
            left.remove(i)
        return None if len(ended) == len(members) else (PENDING, self)

    update = pass_on_to_all

    def _without(self, members: list[Generator], ended: set[int]) -> Mix:
        if not ended:
            return Mix(tuple(members), self.weights)
        kept = [i for i in range(len(members)) if i not in ended]
        return Mix(tuple(members[i] for i in kept), tuple(self.weights[i] for i in kept))


class ProcessLimit(msgspec.Struct, frozen=True):
    """Ends once more than `count` processes could have taken part."""

    count: int
    inner: Generator
    seen: frozenset[Process] = frozenset()

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None or answer[0] is PENDING:
            return None if answer is None else (PENDING, self)
        seen = self.seen | {context.processes[bit] for bit in context.bits()}
        if len(seen) > self.count:
            return None
        return answer[0], ProcessLimit(self.count, answer[1], seen)

    update = pass_on


class ConcurrencyLimit(msgspec.Struct, frozen=True):
    """Pending while `count` threads in sight are busy."""

    count: int
    inner: Generator

    def next(self, context: Context) -> Answer:
        if context.busy_count >= self.count:
            return PENDING, self
        answer = self.inner.next(context)
        return None if answer is None else (answer[0], ConcurrencyLimit(self.count, answer[1]))

    update = pass_on


def on_threads(predicate: Callable[[Thread], bool], source: Any) -> Generator:
    """The source, for the threads that the predicate accepts: `on_threads(is_even, work)`."""
    return OnThreads(predicate, generator(source))


def timetable(lanes: Mapping[Thread, Sequence[Invocation]]) -> Generator:
    """
    Each thread takes its own steps in order, each at its time or as soon as the thread is free:
    `timetable({0: [Invocation("read", time=10**9)]})`.
    """
    return any_of(*(on_threads(partial(eq, thread), own) for thread, own in lanes.items()))


def clients(source: Any) -> Generator:
    """The source on client threads: `any_of(clients(reads), nemesis(faults))`."""
    return on_threads(lambda thread: isinstance(thread, int), source)


def nemesis(source: Any) -> Generator:
    """The source on nemesis threads: `nemesis(cycle([start, stop]))`."""
    return on_threads(lambda thread: isinstance(thread, str), source)


def any_of(*sources: Any, weights: tuple[float, ...] | None = None) -> Generator:
    """
    The soonest step of all, until all have ended: `any_of(clients(work), nemesis(faults))`.

    Of steps at the same time one is drawn, uniformly or by weight.

    Raises:
        ValueError: Unless there is one positive weight per source.
    """
    members = tuple(generator(source) for source in sources)
    return Soonest(members, _weights(weights, members))


def shortest_any(*sources: Any) -> Generator:
    """The soonest step of all, until one has ended: `shortest_any(reads, limit(10, writes))`."""
    members = tuple(generator(source) for source in sources)
    return Soonest(members, (1.0,) * len(members), is_shortest=True)


def each_thread(source: Any) -> Generator:
    """A copy of the source for every thread: `each_thread(until_ok(repeat(read)))`."""
    return Each(generator(source), is_by_process=False)


def each_process(source: Any) -> Generator:
    """A copy for every process; a new one begins after info: `each_process([log_in, work])`."""
    return Each(generator(source), is_by_process=True)


def reserve(*counts_and_sources: Any) -> Generator:
    """
    Threads for each: `reserve(2, reads, 3, writes, rest)`; slow ones do not hold up the others.

    Raises:
        ValueError: Without a last source for the rest.
    """
    if len(counts_and_sources) % 2 == 0:
        raise ValueError("expected pairs of a count and a source, and a last source for the rest")
    counts = tuple(counts_and_sources[:-1:2])
    sources = (*counts_and_sources[1::2], counts_and_sources[-1])
    return Reserve(counts, tuple(generator(source) for source in sources))


def mix(*sources: Any, weights: tuple[float, ...] | None = None) -> Generator:
    """
    A source drawn for each step, uniformly or by weight: `mix(reads, writes, weights=(9, 1))`.

    Raises:
        ValueError: Unless there is one positive weight per source.
    """
    members = tuple(generator(source) for source in sources)
    return Mix(members, _weights(weights, members))


def process_limit(count: int, source: Any) -> Generator:
    """
    The source until more than `count` processes could have run it.

    `process_limit(20, work)` on 10 threads: it ends once 11 processes had an indeterminate
    operation, since a search over a history grows with its processes.
    """
    return ProcessLimit(count, generator(source))


def concurrency_limit(count: int, source: Any) -> Generator:
    """The source while fewer than `count` threads are busy: `concurrency_limit(1, writes)`."""
    return ConcurrencyLimit(count, generator(source))


def _mask(predicate: Callable[[Thread], bool], context: Context) -> int:
    return sum(1 << bit for bit, thread in enumerate(context.threads) if predicate(thread))


@lru_cache(maxsize=256)
def _shares(counts: tuple[int, ...], everyone: int) -> tuple[int, ...]:
    """The threads of a mask, dealt out: `counts[0]` of them, `counts[1]`, …, and the rest."""
    bits = [1 << bit for bit in range(everyone.bit_length()) if everyone >> bit & 1]
    ends = [min(end, len(bits)) for end in accumulate(counts)]
    return tuple(sum(bits[a:b]) for a, b in pairwise([0, *ends, len(bits)]))


def _replaced(members: tuple[Generator, ...], i: int, member: Generator) -> tuple[Generator, ...]:
    return (*members[:i], member, *members[i + 1 :])


def _weights(
    weights: tuple[float, ...] | None, members: tuple[Generator, ...]
) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * len(members)
    if len(weights) != len(members) or min(weights, default=1) <= 0:
        raise ValueError(f"expected {len(members)} positive weights, got {weights}")
    return weights
