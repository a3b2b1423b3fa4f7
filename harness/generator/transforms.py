"""Generators that look at what passes: map, filter, trace, reactions, validation."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from dissever.harness.bugs import Bug
from dissever.harness.client import Invocation
from dissever.harness.generator.core import PENDING, Answer, Context, Generator, Log, Sleep, pass_on
from dissever.harness.generator.lift import generator
from dissever.harness.history import Event

log = logging.getLogger(__name__)

FILTER_LIMIT = 10_000
"""A filter that refuses this many invocations in a row counts as one that refuses all."""

Reaction: TypeAlias = "Callable[[OnUpdate, Context, Event], Generator]"


class GeneratorError(Bug):
    """A generator raised, or gave something that no generator may give."""


class Map(msgspec.Struct, frozen=True):
    """Every invocation changed by a function of it, or of it and the context."""

    f: Callable[..., Invocation]
    takes_context: bool
    inner: Generator

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        if answer is None:
            return None
        step, inner = answer
        if isinstance(step, Invocation):
            step = self.f(step, context) if self.takes_context else self.f(step)
        return step, Map(self.f, self.takes_context, inner)

    update = pass_on


class Filter(msgspec.Struct, frozen=True):
    """Only those invocations that a predicate accepts."""

    predicate: Callable[[Invocation], bool]
    inner: Generator

    def next(self, context: Context) -> Answer:
        inner = self.inner
        for _ in range(FILTER_LIMIT):
            answer = inner.next(context)
            if answer is None:
                return None
            step, inner = answer
            if not isinstance(step, Invocation) or self.predicate(step):
                return step, Filter(self.predicate, inner)
        raise GeneratorError(f"a filter refused {FILTER_LIMIT:,} invocations in a row")

    update = pass_on


class OnUpdate(msgspec.Struct, frozen=True):
    """`reaction(self, context, event)` gives the generator that goes on after an event."""

    reaction: Reaction
    inner: Generator

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        return None if answer is None else (answer[0], OnUpdate(self.reaction, answer[1]))

    def update(self, context: Context, event: Event) -> Generator:
        return self.reaction(self, context, event)


class Trace(msgspec.Struct, frozen=True):
    """Every answer and update in the log, under a name."""

    name: str
    inner: Generator

    def next(self, context: Context) -> Answer:
        answer = self.inner.next(context)
        log.info("%s next at %d ns: %s", self.name, context.time, answer and answer[0])
        return None if answer is None else (answer[0], Trace(self.name, answer[1]))

    def update(self, context: Context, event: Event) -> Generator:
        log.info("%s update at %d ns: %s", self.name, context.time, event)
        return Trace(self.name, self.inner.update(context, event))


class Validated(msgspec.Struct, frozen=True):
    """
    Every answer is checked, and every exception names the generator that it came from.

    Raises:
        GeneratorError: When the inner one raises, gives what is no answer, or gives a step to a
            process that is not free.
    """

    inner: Generator

    def next(self, context: Context) -> Answer:
        try:
            answer = self.inner.next(context)
        except Exception as error:
            raise GeneratorError(self._message("next", error)) from error
        if answer is None:
            return None
        complaint = _check(answer, context)
        if complaint:
            raise GeneratorError(f"{_path(self.inner)}: {complaint}")
        return answer[0], Validated(answer[1])

    def update(self, context: Context, event: Event) -> Generator:
        try:
            inner = self.inner.update(context, event)
        except Exception as error:
            raise GeneratorError(f"{self._message('update', error)}, at {event}") from error
        return self if inner is self.inner else Validated(inner)

    def _message(self, method: str, error: Exception) -> str:
        path = _way(error) or _path(self.inner)
        return f"{path}.{method} raised {type(error).__name__}: {error}"


def map_invocations(f: Callable[..., Invocation], source: Any) -> Generator:
    """Each invocation as `f(it)` or `f(it, context)` makes it: `map_invocations(f, work)`."""
    return Map(f, len(inspect.signature(f).parameters) > 1, generator(source))


def f_map(names: Mapping[str, str] | Callable[[str], str], source: Any) -> Generator:
    """Every `f` renamed; a mapping leaves others alone: `f_map({"start": "start-cut"}, faults)`."""
    rename = names if callable(names) else lambda f: names.get(f, f)
    return map_invocations(lambda i: msgspec.structs.replace(i, f=rename(i.f)), source)


def filter_invocations(predicate: Callable[[Invocation], bool], source: Any) -> Generator:
    """The invocations that a predicate accepts: `filter_invocations(is_read, work)`."""
    return Filter(predicate, generator(source))


def on_update(reaction: Reaction, source: Any) -> Generator:
    """
    The source until an event; `reaction(self, context, event)` gives what goes on after it.

    `on_update(lambda self, _, event: NOTHING if event.f == "stop" else self, work)`
    """
    return OnUpdate(reaction, generator(source))


def trace(name: str, source: Any) -> Generator:
    """The source, with every answer and update as a line in the log: `trace("writes", writes)`."""
    return Trace(name, generator(source))


def validated(source: Any) -> Generator:
    """The source, checked; the interpreter always does this."""
    return Validated(generator(source))


def _check(answer: Any, context: Context) -> str:
    """What is wrong with an answer, or nothing."""
    if not (isinstance(answer, tuple) and len(answer) == 2 and hasattr(answer[1], "update")):
        return f"expected a step and a generator, or None, got {answer!r}"
    step = answer[0]
    if step is PENDING:
        return ""
    if type(step) is Invocation:
        if not isinstance(step.f, str):
            return f"expected a text for f, got {step!r}"
    elif type(step) is not Sleep and type(step) is not Log:
        return f"expected an invocation, a sleep, a log line or PENDING, got {step!r}"
    if type(step.time) is not int or step.time < context.time:
        return f"expected a time from {context.time} ns on, got {step!r}"
    if not context.is_free(step.process):
        return f"expected a process that is free, got {step!r}"
    return ""


def _way(error: BaseException) -> str:
    """The names of the generators that an exception came out of, from the outside in."""
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return " > ".join(type(o).__name__ for o in owners[1:] if isinstance(o, Generator))


def _path(source: object) -> str:
    """The names of the generators from the outside in, as far as there is only one way in."""
    names: list[str] = []
    while source is not None and len(names) < 12:
        names.append(type(source).__name__)
        source = getattr(source, "inner", None) or getattr(source, "head", None)
    return " > ".join(names)
