"""
What a generator is: an immutable value that decides what is invoked next, and never does it.

Asking has no effect unless the generator that comes back is kept. The interpreter keeps the old one
when the answer is pending or lies in the future, and asks again later, so state that is set lazily
(the end of a time limit) only sticks when something is really invoked.

Source: Jepsen's `generator.clj`, behaviour only.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from operator import is_
from random import Random
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from dissever.harness.client import ANY_PROCESS, Invocation
from dissever.harness.history import Event, Process

Thread: TypeAlias = int | str
"""Who plays processes: a client worker 0 … n-1, or a nemesis by its name."""


class Pending(Enum):
    """Nothing to offer yet; ask again after something happened."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING


class Sleep(msgspec.Struct, frozen=True):
    """The process that takes it is busy for `duration_ns`; it leaves no event."""

    duration_ns: int
    process: Process = ANY_PROCESS
    time: int = 0


class Log(msgspec.Struct, frozen=True):
    """A line for the log; it leaves no event."""

    message: str
    process: Process = ANY_PROCESS
    time: int = 0


Step: TypeAlias = Invocation | Sleep | Log | Literal[Pending.PENDING]


class Context(msgspec.Struct, frozen=True):
    """
    What a generator sees of the run: the time in ns since it began, and which threads are free.

    Threads are bits: `everyone` and `free` are masks over `threads`, so that a view of some threads
    costs one `&`. `processes` are those that the threads play now, in the same order. `turn` is the
    bit where the search for a free thread starts: round robin. The first `clients` threads are
    clients.
    """

    time: int
    everyone: int
    free: int
    threads: tuple[Thread, ...]
    processes: tuple[Process, ...]
    rng: Random
    turn: int
    clients: int

    @staticmethod
    def initial(concurrency: int, nemeses: Iterable[str], rng: Random) -> Context:
        """Everyone is free, at time 0."""
        threads: tuple[Thread, ...] = (*range(concurrency), *nemeses)
        mask = (1 << len(threads)) - 1
        return Context(0, mask, mask, threads, threads, rng, 0, concurrency)

    def limited(self, mask: int) -> Context:
        """The same, with only those threads in sight."""
        return Context(
            self.time,
            self.everyone & mask,
            self.free & mask,
            self.threads,
            self.processes,
            self.rng,
            self.turn,
            self.clients,
        )

    def at(self, time: int) -> Context:
        """The same at another time."""
        return self._changed(time, self.free, self.turn)

    def busy(self, bit: int) -> Context:
        """The same with one thread less that is free; the search for a free one starts after it."""
        return self._changed(self.time, self.free & ~(1 << bit), (bit + 1) % len(self.threads))

    def freed(self, bit: int, time: int) -> Context:
        """The same with one thread more that is free, at another time."""
        return self._changed(time, self.free | 1 << bit, self.turn)

    def renewed(self, bit: int) -> Context:
        """The same with a client thread that plays its next process."""
        process = self.processes[bit]
        assert isinstance(process, int), "a nemesis is never renewed"
        renewed = process + self.clients
        processes = (*self.processes[:bit], renewed, *self.processes[bit + 1 :])
        return msgspec.structs.replace(self, processes=processes)

    def _changed(self, time: int, free: int, turn: int) -> Context:
        return Context(
            time,
            self.everyone,
            free,
            self.threads,
            self.processes,
            self.rng,
            turn,
            self.clients,
        )

    def bit(self, process: Process) -> int:
        """The position of the thread that plays a process, or once played it."""
        if isinstance(process, int):
            return process % self.clients
        return self.threads.index(process)

    def some_free_process(self) -> Process | None:
        """A free process in sight, or None."""
        free = self.free
        if not free:
            return None
        later = free >> self.turn << self.turn
        chosen = later or free
        return self.processes[(chosen & -chosen).bit_length() - 1]

    def is_free(self, process: Process) -> bool:
        """Whether the process is in sight, is the one that its thread plays now, and is free."""
        if isinstance(process, int):
            if not self.clients:
                return False
            bit = process % self.clients
        elif process in self.threads:
            bit = self.threads.index(process)
        else:
            return False
        return bool(self.free >> bit & 1) and self.processes[bit] == process

    def free_bits(self) -> tuple[int, ...]:
        """The positions of the free threads in sight."""
        return tuple(bit for bit in range(len(self.threads)) if self.free >> bit & 1)

    def bits(self) -> tuple[int, ...]:
        """The positions of the threads in sight."""
        return tuple(bit for bit in range(len(self.threads)) if self.everyone >> bit & 1)

    @property
    def busy_count(self) -> int:
        """How many threads in sight have an open operation."""
        return (self.everyone & ~self.free).bit_count()


Answer: TypeAlias = "tuple[Step, Generator] | None"
"""A step with the generator that goes on after it, or None: exhausted for good."""


@runtime_checkable
class Generator(Protocol):
    """An immutable value; every method gives a new one."""

    def next(self, context: Context) -> Answer:
        """What comes next."""

    def update(self, context: Context, event: Event) -> Generator:
        """The generator that knows of the event: an invocation or a completion of anybody's."""


NEVER_NS: Final = 1 << 63
"""Later than every step."""


class Offer(NamedTuple):
    """What one of several generators would do next."""

    member: int
    step: Invocation | Sleep | Log
    rest: Generator
    weight: float


class Offers:
    """The offers of several generators that are asked at the same moment: the soonest is taken."""

    __slots__ = ("_soonest", "_time", "is_pending")

    def __init__(self, *, is_pending: bool = False) -> None:
        """`is_pending`: a member may have an offer later."""
        self._soonest: list[Offer] = []
        self._time = NEVER_NS
        self.is_pending = is_pending

    def add(self, member: int, answer: Answer, weight: float = 1.0) -> None:
        """What a member answered; `weight` decides how often it is drawn when times are equal."""
        if answer is None:
            return
        step, rest = answer
        if step is PENDING:
            self.is_pending = True
        elif step.time < self._time:
            self._time = step.time
            self._soonest = [Offer(member, step, rest, weight)]
        elif step.time == self._time:
            self._soonest.append(Offer(member, step, rest, weight))

    def soonest(self, rng: Random) -> Offer | None:
        """The offer with the earliest time; ties are drawn, or one member would starve."""
        tied = self._soonest
        if len(tied) > 1:
            return rng.choices(tied, [offer.weight for offer in tied])[0]
        return tied[0] if tied else None

    def otherwise(self, generator: Generator) -> Answer:
        """The answer where there is no offer: pending, or exhausted."""
        return (PENDING, generator) if self.is_pending else None


def pass_on(self: Any, context: Context, event: Event) -> Any:
    """
    The `update` of a generator with one inner generator, which alone hears of the event.

    It is itself when nothing changed, so that an event costs no copies.
    """
    inner = self.inner.update(context, event)
    return self if inner is self.inner else msgspec.structs.replace(self, inner=inner)


def pass_on_to_all(self: Any, context: Context, event: Event) -> Any:
    """The same for a generator with several `members`: every one hears of the event."""
    members = tuple([member.update(context, event) for member in self.members])
    if all(map(is_, members, self.members)):
        return self
    return msgspec.structs.replace(self, members=members)


class Nothing(msgspec.Struct, frozen=True):
    """Exhausted from the start."""

    def next(self, context: Context) -> Answer:
        return None

    def update(self, context: Context, event: Event) -> Generator:
        return self


class Once(msgspec.Struct, frozen=True):
    """One step, exactly once, for the process that it names or any free one."""

    step: Invocation | Sleep | Log

    def next(self, context: Context) -> Answer:
        placed = place(self.step, context)
        return (placed, self if placed is PENDING else NOTHING)

    def update(self, context: Context, event: Event) -> Generator:
        return self


NOTHING: Final = Nothing()


def place(step: Invocation | Sleep | Log, context: Context) -> Step:
    """The step with a process and a time, or PENDING when nobody is free for it."""
    process = step.process
    if process == ANY_PROCESS:
        free = context.some_free_process()
        if free is None:
            return PENDING
        process = free
    elif not context.is_free(process):
        return PENDING
    time = step.time if step.time > context.time else context.time
    if type(step) is Invocation:
        return Invocation(step.f, step.value, step.key, process, time)
    return msgspec.structs.replace(step, process=process, time=time)


def at(step: Invocation | Sleep | Log, time: int) -> Invocation | Sleep | Log:
    """The same step at another time."""
    if type(step) is Invocation:
        return Invocation(step.f, step.value, step.key, step.process, time)
    return msgspec.structs.replace(step, time=time)
