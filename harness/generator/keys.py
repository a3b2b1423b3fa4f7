"""Generators over many independent objects: one key after another, or several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator.core import (
    NOTHING,
    PENDING,
    Answer,
    Context,
    Generator,
    Offers,
    pass_on,
)
from dissever.harness.generator.lift import Memo, generator
from dissever.harness.generator.sequences import synchronize
from dissever.harness.history import Event, Key, Type


class Keyed(msgspec.Struct, frozen=True):
    """The inner generator's invocations, on one key."""

    key: Key
    inner: Generator

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if type(step) is Invocation:
            step = Invocation(step.f, step.value, self.key, step.process, step.time)
        return step, Keyed(self.key, inner)

    def update(self, context: Context, event: Event) -> Generator:
        return self if event.key != self.key else pass_on(self, context, event)


class ConcurrentKeys(msgspec.Struct, frozen=True):
    """
    Groups of `group_size` client threads, each on a key of its own until that is exhausted.

    Threads that are left over when the count does not divide join the last group, and when there
    are fewer threads than one group needs, all of them are one group. `keys` are the generators of
    the keys that no group has begun.
    """

    group_size: int
    keys: Memo | None
    everyone: int = 0
    masks: tuple[int, ...] = ()
    groups: tuple[Generator, ...] = ()

    def next(self, context: Context) -> Answer:
        here = self._for(context)
        groups, keys = list(here.groups), here.keys
        offers = Offers()
        for i, mask in enumerate(here.masks):
            if not context.free & mask:
                offers.is_pending = True
                continue
            view = context.limited(mask)
            while (answer := groups[i].next(view)) is None and keys is not None:
                groups[i] = keys.value
                keys = keys.rest
            offers.add(i, answer)
        if (chosen := offers.soonest(context.rng)) is None:
            return offers.otherwise(here._with(groups, keys))
        groups[chosen.member] = chosen.rest
        return chosen.step, here._with(groups, keys)

    def update(self, context: Context, event: Event) -> Generator:
        bit = context.bit(event.process)
        for i, mask in enumerate(self.masks):
            if mask >> bit & 1:
                updated = self.groups[i].update(context.limited(mask), event)
                if updated is self.groups[i]:
                    return self
                return self._with([*self.groups[:i], updated, *self.groups[i + 1 :]], self.keys)
        return self

    def _with(self, groups: list[Generator], keys: Memo | None) -> ConcurrentKeys:
        return ConcurrentKeys(self.group_size, keys, self.everyone, self.masks, tuple(groups))

    def _for(self, context: Context) -> ConcurrentKeys:
        """The same with the groups of the threads in sight, which are worked out once."""
        if self.everyone == context.everyone:
            return self
        bits = [bit for bit in context.bits() if isinstance(context.threads[bit], int)]
        size = max(1, min(self.group_size, len(bits)))
        starts = range(0, len(bits) - size + 1, size)
        masks = [sum(1 << bit for bit in bits[start : start + size]) for start in starts]
        if masks:
            masks[-1] |= sum(1 << bit for bit in bits[len(masks) * size :])
        groups = (NOTHING,) * len(masks)
        return ConcurrentKeys(self.group_size, self.keys, context.everyone, tuple(masks), groups)


def key_of(event: Event) -> tuple[Key, ...]:
    """The key of an event, if it has one."""
    return () if event.key is None else (event.key,)


class KeyTracker(msgspec.Struct, frozen=True):
    """Remembers every key that was invoked; when the inner one has ended, `make` gets them all."""

    inner: Generator
    make: Callable[[tuple[Key, ...]], Any]
    keys_of: Callable[[Event], Iterable[Key]] = key_of
    keys: tuple[Key, ...] = ()
    seen: frozenset[Key] = frozenset()

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            if context.free != context.everyone:  # Making it costs more than asking it.
                return PENDING, self
            return synchronize(self.make(self.keys)).next(context)
        return answer[0], KeyTracker(answer[1], self.make, self.keys_of, self.keys, self.seen)

    def update(self, context: Context, event: Event) -> Generator:
        keys, seen = self.keys, self.seen
        if event.type is Type.INVOKE and isinstance(event.process, int):
            new = [key for key in dict.fromkeys(self.keys_of(event)) if key not in seen]
            if new:
                keys, seen = (*keys, *new), seen | set(new)
        return KeyTracker(self.inner.update(context, event), self.make, self.keys_of, keys, seen)


def sequential_keys(keys: Iterable[Key], make: Callable[[Key], Any]) -> Generator:
    """One key after another: `sequential_keys(range(3), lambda key: limit(10, reads_of(key)))`."""
    return generator(_keyed(keys, make))


def concurrent_keys(group_size: int, keys: Iterable[Key], make: Callable[[Key], Any]) -> Generator:
    """
    Groups of client threads, each on one key at a time; `keys` may be endless.

    `concurrent_keys(2, count(), lambda key: limit(500, work))`: two threads on each key.
    """
    return ConcurrentKeys(group_size, Memo.first(_keyed(keys, make)))


def then_with_keys(
    source: Any,
    make: Callable[[tuple[Key, ...]], Any],
    keys_of: Callable[[Event], Iterable[Key]] = key_of,
) -> Generator:
    """
    Once everyone is free, a source of all keys used: `then_with_keys(work, reads_of)`.

    `keys_of`: the keys that an invocation of a client uses.
    """
    return KeyTracker(generator(source), make, keys_of)


def _keyed(keys: Iterable[Key], make: Callable[[Key], Any]) -> Iterator[Generator]:
    return (Keyed(key, generator(make(key))) for key in keys)
