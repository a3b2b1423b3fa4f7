"""
Generators without a run: play one against completions that a function makes up, in no time.

For tests of generators and of workloads. It keeps the rules of the interpreter: completions come
before invocations, a process that completed with info is renewed, a pending generator is asked
again later.

Source: Jepsen's `generator/test.clj`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeAlias

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator.core import PENDING, Context, Log, Sleep
from dissever.harness.generator.transforms import GeneratorError, validated
from dissever.harness.history import Event, Type

SEED = 45100
LATENCY_NS = 10
POLL_NS = 10_000_000
STUCK_NS = 120_000_000_000
IDLE_STEPS = 100_000

Complete: TypeAlias = Callable[[Event], tuple[Type, int]]
"""From an invocation to how it ends, and after how many ns."""


def ending(*types: Type) -> Complete:
    """Everything ends after 10 ns, as each of these in turn, by the index of the invocation."""
    return lambda invocation: (types[invocation.index % len(types)], LATENCY_NS)


perfect = ending(Type.OK)


def context(concurrency: int = 2, *nemeses: str, seed: int = SEED) -> Context:
    """Client threads 0 to `concurrency` - 1 and the nemeses, all free, at time 0."""
    return Context.initial(concurrency, nemeses, Random(seed))


def simulate(
    source: Any, context: Context, complete: Complete = perfect, *, limit: int = 1000
) -> tuple[Event, ...]:
    """
    The events of a generator's life, invocations and completions.

    Args:
        limit: It ends after this many invocations, so that an endless generator may be given.

    Raises:
        GeneratorError: When it misbehaves, is pending for 120 s while everyone is free, or goes on
            without invoking anything.
    """
    return _Simulation(source, context, complete).run(limit)


class _Simulation:
    def __init__(self, source: Any, context: Context, complete: Complete) -> None:
        self._generator = validated(source)
        self._context = context
        self._complete = complete
        self._events: list[Event] = []
        self._open: list[tuple[int, int, int, Event | None]] = []
        self._handed = 0
        self._pending_since = context.time

    def run(self, limit: int) -> tuple[Event, ...]:
        invoked = idle = 0
        while invoked < limit:
            idle += 1
            if idle > IDLE_STEPS:
                raise GeneratorError(f"{IDLE_STEPS:,} steps in a row without an invocation")
            answer = self._generator.next(self._context)
            if answer is None:
                break
            step, rest = answer
            if step is PENDING:
                self._wait()
            elif self._open and self._open[0][0] <= step.time:
                self._take()
            else:
                self._generator = rest
                self._pending_since = step.time
                if self._give(step):
                    invoked += 1
                    idle = 0
        while self._open:
            self._take()
        return tuple(self._events)

    def _wait(self) -> None:
        now = self._context.time
        if self._open:
            self._take()
        elif now - self._pending_since > STUCK_NS:
            raise GeneratorError("pending though everyone is free")
        else:
            self._context = self._context.at(now + POLL_NS)

    def _give(self, step: Invocation | Sleep | Log) -> bool:
        """Hand a step over; whether it was an invocation."""
        context = self._context.at(step.time)
        if isinstance(step, Log):
            self._context = context
            return False
        bit = context.bit(step.process)
        self._context = context.busy(bit)
        if isinstance(step, Sleep):
            self._push(step.time + step.duration_ns, bit, None)
            return False
        event = Event(
            len(self._events), step.time, step.process, Type.INVOKE, step.f, step.value, step.key
        )
        self._record(event)
        kind, latency_ns = self._complete(event)
        completion = msgspec.structs.replace(event, type=kind, time=step.time + latency_ns)
        self._push(completion.time, bit, completion)
        return True

    def _push(self, time: int, bit: int, completion: Event | None) -> None:
        self._handed += 1
        heappush(self._open, (time, self._handed, bit, completion))

    def _take(self) -> None:
        time, _, bit, completion = heappop(self._open)
        context = self._context.freed(bit, max(time, self._context.time))
        self._context = context
        self._pending_since = context.time
        if completion is None:
            return
        event = msgspec.structs.replace(completion, index=len(self._events), time=context.time)
        self._record(event)
        if event.type is Type.INFO and isinstance(event.process, int):
            self._context = context.renewed(bit)

    def _record(self, event: Event) -> None:
        self._events.append(event)
        self._generator = self._generator.update(self._context, event)
