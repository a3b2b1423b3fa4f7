"""
What stands for a generator: values, iterables and functions, made into one.

They stand in one file because each is made of the other: an element of a sequence may be anything
that stands for a generator, a sequence too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator.core import (
    NOTHING,
    PENDING,
    Answer,
    Context,
    Generator,
    Log,
    Once,
    Sleep,
)
from dissever.harness.history import Event


def generator(source: Any) -> Generator:
    """
    Make a generator of any value that stands for one.

    None: nothing. An Invocation, Sleep or Log: that, once. An iterable, endless ones too: all of
    its first element, then of its second, and so on. A function of no argument or of the context:
    called whenever its last answer is exhausted, until it gives None. A mapping is refused: it has
    no order that would mean anything here.

    Raises:
        TypeError: For anything else.
    """
    if isinstance(source, Invocation | Sleep | Log):
        return Once(source)
    if source is None:
        return NOTHING
    if hasattr(source, "next") and hasattr(source, "update"):  # isinstance costs ten times that.
        found: Generator = source
        return found
    if callable(source):
        return Function.of(source)
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping):
        return Sequence.of(Memo.first(map(generator, source)))
    raise TypeError(
        "expected a generator, an invocation, an iterable, a function or None, "
        f"got {type(source).__name__}: {source!r}"
    )


class Sequence(msgspec.Struct, frozen=True):
    """
    All of the first, then of the second, …; updates reach the first only.

    The places hold generators: an element is made into one once, or an iterator among them would be
    read again each time its place is asked.
    """

    head: Generator
    place: Memo

    @staticmethod
    def of(place: Memo | None) -> Generator:
        """The sequence from a place on."""
        return NOTHING if place is None else Sequence(place.value, place)

    def next(self, context: Context) -> Answer:
        here: Sequence = self
        while True:
            answer = here.head.next(context)
            if answer is not None:
                step, head = answer
                return step, here if head is here.head else Sequence(head, here.place)
            rest = here.place.rest
            if rest is None:
                return None
            here = Sequence(rest.value, rest)

    def update(self, context: Context, event: Event) -> Generator:
        head = self.head.update(context, event)
        return self if head is self.head else Sequence(head, self.place)


class Function(msgspec.Struct, frozen=True):
    """Call it, exhaust what it gave, call it again; None ends."""

    f: Callable[..., Any]
    takes_context: bool
    current: Generator | None = None

    @staticmethod
    def of(f: Callable[..., Any]) -> Function:
        """Look once how many arguments it takes."""
        return Function(f, bool(inspect.signature(f).parameters))

    def next(self, context: Context) -> Answer:
        current = self.current
        if current is not None:
            answer = current.next(context)
            if answer is not None:
                return answer[0], Function(self.f, self.takes_context, answer[1])
        if not context.free:
            return PENDING, self
        made = self.f(context) if self.takes_context else self.f()
        if made is None:
            return None
        answer = generator(made).next(context)
        if answer is None:
            raise ValueError(f"{self.f!r} gave a generator that is exhausted from the start")
        step, rest = answer
        return step, Function(self.f, self.takes_context, None if rest is NOTHING else rest)

    def update(self, context: Context, event: Event) -> Generator:
        if self.current is None:
            return self
        return Function(self.f, self.takes_context, self.current.update(context, event))


class Memo:
    """
    An iterable that can be asked twice for the same place.

    Python's iterators change when they are read, generators must not: what was read is kept in a
    linked list, and places nobody holds any more are collected.
    """

    __slots__ = ("_next", "_source", "value")

    def __init__(self, value: Any, source: Iterator[Any]) -> None:
        self.value = value
        self._source: Iterator[Any] | None = source
        self._next: Memo | None = None

    @staticmethod
    def first(source: Iterator[Any]) -> Memo | None:
        """The first place, or None for an empty iterator."""
        for value in source:
            return Memo(value, source)
        return None

    @property
    def rest(self) -> Memo | None:
        """The next place, or None at the end."""
        if self._source is not None:
            self._next = Memo.first(self._source)
            self._source = None
        return self._next
