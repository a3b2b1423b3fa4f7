"""
The interpreter: asks the generator, hands out what it says, and records what happens.

It promises, and each line has a test:

1. An invocation is stamped and journaled before its client sees it; a completion is stamped in the
   worker as soon as the client returns. The recorded interval contains the real one.
2. A process has at most one open operation; after info its number is never used again, and its
   worker goes on with a new process (process + number of workers) and a new client.
3. Completions are taken before invocations are given, or concurrency would be invented.
4. Only a client says fail, except where no client could be opened. Every exception is info, except
   a mistake in the code of a client, nemesis or generator, which ends the run.
5. An operation past its time limit is info at once; what it says later is dropped.
6. Index = position; times never decrease; monotonic clock only.
7. Faults may overlap: each nemesis is a worker of its own. Healing runs on exhaustion, error,
   Ctrl-C and SIGTERM alike, once no fault is being injected any more.
8. A seed gives one plan and one schedule and, on a virtual clock, one history, to the byte.

The decision that is not obvious: there is no scheduler task and no queue. A worker records its
completion itself and asks for a dispatch in the loop's next turn, so whatever else completed in
this turn is taken first; a turn costs one look at the generator for each free worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from random import Random
from typing import Any, TypeAlias

import msgspec

from dissever.harness.bugs import Bug, bug_of, is_bug
from dissever.harness.calls import CLOSE_LIMIT_S, close, completion_of, pass_on_cancellation
from dissever.harness.client import Client, Completion, Invocation, Nemesis
from dissever.harness.clock import clock_ns, timer_s
from dissever.harness.cluster import ClusterEnded, ClusterInterrupted
from dissever.harness.generator import (
    PENDING,
    Context,
    Generator,
    GeneratorError,
    Log,
    Sleep,
    validated,
)
from dissever.harness.history import Event, History, Type
from dissever.harness.journal import NotJson
from dissever.harness.values import reason

log = logging.getLogger(__name__)

POLL_S = 0.01
"""How often a pending generator is asked again when nothing happens."""

STUCK_S = 120.0
"""A generator that is pending this long while everyone is free will never go on."""

Open: TypeAlias = Callable[[str], Awaitable[Client]]
"""Opens a client to a node. Whatever it raises means that no client could be opened."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long an operation of a client may take, and one of a nemesis."""

    operation_s: float = 5.0
    nemesis_s: float = 60.0


async def interpret(
    source: Any,
    *,
    open_client: Open,
    nodes: Sequence[str],
    concurrency: int,
    nemeses: Mapping[str, Nemesis],
    rng: Random,
    record: Callable[[Event], None],
    limits: TimeLimits,
) -> History:
    """
    Run a generator to its end.

    Args:
        source: Anything that stands for a generator.
        open_client: Worker i talks to `nodes[i % len(nodes)]`.
        nemeses: The process of each is its name.
        rng: The generator's stream of random numbers.
        record: Called with every event in order: the journal. After `NotJson` the completion is
            recorded as info; anything else that it raises ends the run.

    Returns:
        The history. When the run ends early, by an error or a cancellation, everything is healed,
        and the events that `record` was given are all there is.

    Raises:
        GeneratorError: When the generator misbehaves.
        Bug: When a client or a nemesis has a mistake in its code.
    """
    interpreter = _Interpreter(
        validated(source), open_client, nodes, concurrency, nemeses, rng, record, limits
    )
    return await interpreter.run()


@dataclass(slots=True, eq=False)
class _Slot:
    """
    What one worker is doing.

    `mark` names the operation that is open: the number of events when it was handed over. `number`
    is that of the worker's task: it grows when a task is given up for a new one.
    """

    client: Client | None = None
    step: Invocation | Sleep | None = None
    is_handed: bool = False
    mark: int = 0
    number: int = 0
    task: asyncio.Task[None] | None = None
    waiter: asyncio.Future[None] | None = None


@dataclass(eq=False)
class _Interpreter:
    """One run; the first fields are the arguments of `interpret`."""

    _generator: Generator
    _open_client: Open
    _nodes: Sequence[str]
    _concurrency: int
    _nemeses: Mapping[str, Nemesis]
    _rng: InitVar[Random]
    _record: Callable[[Event], None]
    _limits: TimeLimits
    _events: list[Event] = field(default_factory=list)
    _deadlines: deque[tuple[int, int, int]] = field(default_factory=deque)
    _given_up: set[asyncio.Task[None]] = field(default_factory=set)
    _refusals: set[type[BaseException]] = field(default_factory=set)
    _is_exhausted: bool = False
    _dispatch_is_due: bool = False
    _timer: asyncio.TimerHandle | None = None
    _deadline_timer: asyncio.TimerHandle | None = None
    _pending_since: int | None = None
    _due_ns: int | None = None
    """
    The time of the generator's last step while some worker has been free; None: nobody was.

    A loop wakes up late, often by a millisecond. The generator is asked for this time then, not for
    that of the wake-up, so that gaps between steps do not grow. What is missed because nobody is
    free stays lost.
    """

    def __post_init__(self, rng: Random) -> None:
        self._limit_ns = round(self._limits.operation_s * 1e9)
        self._context = Context.initial(self._concurrency, self._nemeses, rng)
        self._slots = [_Slot() for _ in self._context.threads]

    async def run(self) -> History:
        self._loop = asyncio.get_running_loop()
        self._clock = clock_ns()
        self._start = self._clock()
        self._end: asyncio.Future[None] = self._loop.create_future()
        try:
            for bit in range(len(self._slots)):
                self._hire(bit)
            self._ask_for_dispatch()
            await self._end
        finally:
            await self._shut_down()
        return History(tuple(self._events))

    # Deciding: what is given to whom.

    def _now(self) -> int:
        return self._clock() - self._start

    def _ask_for_dispatch(self) -> None:
        if not self._dispatch_is_due:
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Give steps to free workers until there is nobody free or nothing to do now."""
        self._dispatch_is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end.done():
            return
        try:
            while self._context.free and self._give_next():
                pass
            if not self._context.free:
                self._due_ns = None
            everyone = self._context.everyone
            if self._context.free == everyone and (self._is_exhausted or not everyone):
                self._end.set_result(None)
        except (Exception, SystemExit) as error:  # The generator's or the journal's: it ends.
            self._end.set_exception(error)

    def _give_next(self) -> bool:
        """Give one step; False when there is none now."""
        if self._is_exhausted:
            return False
        now = self._now()
        context = self._context.at(now if self._due_ns is None else min(now, self._due_ns))
        answer = self._generator.next(context)
        if answer is None:
            self._is_exhausted = True
            return False
        step, rest = answer
        if step is PENDING:
            self._due_ns = None
            self._wait_pending(now)
            return False
        self._pending_since = None
        self._due_ns = step.time
        if step.time > now:
            self._timer = self._loop.call_later(timer_s(step.time - now), self._ask_for_dispatch)
            return False
        self._generator = rest
        if type(step) is Invocation:
            self._invoke(step, context)
        elif isinstance(step, Log):
            log.info("%s", step.message)
            self._ask_for_dispatch()  # In the next turn: an endless log must not stop the loop.
            return False
        elif isinstance(step, Sleep):
            bit = context.bit(step.process)
            self._hand_over(bit, step, context.busy(bit))
        return True

    def _wait_pending(self, now: int) -> None:
        """Something will complete, or time decides; a generator that can do neither is an error."""
        if self._context.free != self._context.everyone:
            self._pending_since = None
        elif self._pending_since is None:
            self._pending_since = now
        elif now - self._pending_since > STUCK_S * 1e9:
            raise GeneratorError(f"pending for {STUCK_S:g} s though everyone is free")
        self._timer = self._loop.call_later(POLL_S, self._ask_for_dispatch)

    def _invoke(self, step: Invocation, context: Context) -> None:
        process = step.process
        bit = context.bit(process)
        busy = context.busy(bit)
        event = Event(
            len(self._events),
            self._now(),
            process,
            Type.INVOKE,
            step.f,
            step.value,
            step.key,
            self._node(bit),
        )
        try:
            self._append(event)
        except NotJson as error:
            raise GeneratorError(f"expected JSON values, got {step!a}: {error}") from error
        self._generator = self._generator.update(busy, event)
        self._hand_over(bit, step, busy)

    def _node(self, bit: int) -> str | None:
        if bit >= self._concurrency or not self._nodes:
            return None
        return self._nodes[bit % len(self._nodes)]

    def _hand_over(self, bit: int, step: Invocation | Sleep, busy: Context) -> None:
        self._context = busy
        slot = self._slots[bit]
        slot.step = step
        slot.is_handed = False
        slot.mark = len(self._events)
        if type(step) is Invocation:
            self._watch(bit, slot.mark, self._now() + self._limit_ns)
        if slot.waiter is not None and not slot.waiter.done():
            slot.waiter.set_result(None)

    def _append(self, event: Event) -> None:
        self._record(event)
        self._events.append(event)

    # Doing: a task per worker.

    def _hire(self, bit: int) -> None:
        slot = self._slots[bit]
        work = self._play if bit < self._concurrency else self._torment
        slot.task = self._loop.create_task(work(bit, slot, slot.number))

    async def _next_step(self, slot: _Slot) -> Invocation | Sleep:
        while slot.step is None or slot.is_handed:
            slot.waiter = self._loop.create_future()
            await slot.waiter
        slot.is_handed = True
        return slot.step

    async def _play(self, bit: int, slot: _Slot, number: int) -> None:
        """A client worker: one step after another, until it is cancelled or given up."""
        client: Client | None = None
        try:
            while slot.number == number:
                step = await self._next_step(slot)
                if isinstance(step, Sleep):
                    await self._sleep(bit, step)
                    continue
                if client is None:
                    client = await self._opened(bit, number, step)
                    if slot.number != number:
                        break  # Given up, and recorded as fail: it must never be sent.
                    slot.client = client
                if client is None:
                    continue
                completion = await completion_of(client, step)
                self._complete(bit, number, step, completion)
                if completion.type is Type.INFO:
                    leaving, client = client, None
                    await close(leaving)
        except Bug as bug:
            self._fail(slot, number, bug)
        finally:
            if client is not None:
                await self._let_go(client, slot, number)

    async def _let_go(self, client: Client, slot: _Slot, number: int) -> None:
        """Close a client that is not needed any more; by then the run may have ended."""
        try:
            await close(client)
        except Bug as bug:
            log.warning("%s", bug, exc_info=bug.__cause__)
            self._fail(slot, number, bug)

    async def _opened(self, bit: int, number: int, step: Invocation) -> Client | None:
        """A client, or None: the step is fail then, since nothing was sent."""
        try:
            return await self._open_client(self._node(bit) or "")
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # No client.
            pass_on_cancellation(error)
            if is_bug(error):
                raise bug_of(f"a client to {self._node(bit)}", error) from error
            if type(error) not in self._refusals:
                self._refusals.add(type(error))
                log.info("process %s: no client to %s: %r", step.process, self._node(bit), error)
            self._complete(bit, number, step, step.fail(["no-client", reason(error)]))
            return None

    async def _torment(self, bit: int, slot: _Slot, number: int) -> None:
        """A nemesis worker; its operations are info, and what it raises is too."""
        nemesis = self._nemeses[str(self._context.threads[bit])]
        while slot.number == number:
            step = await self._next_step(slot)
            if isinstance(step, Sleep):
                await self._sleep(bit, step)
                continue
            try:
                completion = await completion_of(nemesis, step)
            except Bug as bug:
                self._fail(slot, number, bug)
                return
            if completion.error is not None:
                log.warning("%s: %s: %s", step.process, step.f, completion.error)
            completion = Completion(Type.INFO, completion.value, completion.error)
            self._complete(bit, number, step, completion)

    def _fail(self, slot: _Slot, number: int, bug: Bug) -> None:
        """End the run, unless the operation was given up before or the run has ended."""
        if slot.number == number and not self._end.done():
            self._end.set_exception(bug)

    async def _sleep(self, bit: int, step: Sleep) -> None:
        """It leaves no event."""
        await asyncio.sleep(step.duration_ns / 1e9)
        self._slots[bit].step = None
        self._context = self._context.freed(bit, self._now())
        self._ask_for_dispatch()

    # Taking: completions, and what is past its time.

    def _complete(self, bit: int, number: int, step: Invocation, completion: Completion) -> None:
        """Stamp and record a completion, unless its operation was given up before."""
        slot = self._slots[bit]
        if slot.number != number or self._end.done():
            return
        now = self._now()
        event = Event(
            len(self._events),
            now,
            step.process,
            completion.type,
            step.f,
            completion.value,
            step.key,
            self._node(bit),
            completion.error,
        )
        try:
            try:
                self._append(event)
            except NotJson as error:
                event = _unrecordable(event, error)
                self._append(event)
            self._free(bit, now, event)
        except (Exception, SystemExit) as error:  # The generator's or the journal's: it ends.
            self._end.set_exception(error)

    def _free(self, bit: int, now: int, event: Event) -> None:
        slot = self._slots[bit]
        slot.step = None
        context = self._context.freed(bit, now)
        self._generator = self._generator.update(context, event)
        if event.type is Type.INFO and bit < self._concurrency:
            context = context.renewed(bit)
            slot.client = None
        self._context = context
        self._ask_for_dispatch()

    def _watch(self, bit: int, mark: int, deadline_ns: int) -> None:
        """Limits of clients are equal, so deadlines come in order: one timer serves them all."""
        if bit >= self._concurrency:
            self._loop.call_later(self._limits.nemesis_s, self._expire_fault, bit, mark)
            return
        self._deadlines.append((deadline_ns, bit, mark))
        if self._deadline_timer is None:
            self._deadline_timer = self._loop.call_later(self._limit_ns / 1e9, self._expire)

    def _expire(self) -> None:
        self._deadline_timer = None
        now = self._now()
        while self._deadlines:
            deadline, bit, mark = self._deadlines[0]
            slot = self._slots[bit]
            is_open = slot.step is not None and slot.mark == mark
            if is_open and deadline > now:
                break
            self._deadlines.popleft()
            if is_open and type(slot.step) is Invocation and not self._end.done():
                self._give_up(bit, slot, slot.step)
        if self._deadlines and not self._end.done():
            wait = max(0, self._deadlines[0][0] - now) / 1e9
            self._deadline_timer = self._loop.call_later(wait, self._expire)

    def _expire_fault(self, bit: int, mark: int) -> None:
        slot = self._slots[bit]
        if type(slot.step) is Invocation and slot.mark == mark and not self._end.done():
            self._give_up(bit, slot, slot.step)

    def _give_up(self, bit: int, slot: _Slot, step: Invocation) -> None:
        """It is info now, or fail while no client is open; a new task takes the worker."""
        is_client = bit < self._concurrency
        limit = f"{self._limits.operation_s if is_client else self._limits.nemesis_s:g} s"
        if is_client and slot.client is None:
            completion = step.fail(["no-client", f"not open after {limit}"])
        else:
            completion = step.info(["time-limit", f"no answer after {limit}"])
        number, task = slot.number, slot.task
        self._complete(bit, number, step, completion)
        slot.number += 1
        slot.client = None
        if task is not None:
            task.cancel()
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)
        self._hire(bit)

    async def _shut_down(self) -> None:
        """Let go of everybody, then heal everything; whatever fails is logged and goes on."""
        for timer in (self._timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()
        if not self._end.cancel() and not self._end.cancelled():
            self._end.exception()  # It may have come together with a cancellation: it is known.
        tasks = [slot.task for slot in self._slots if slot.task is not None]
        for task in tasks:
            task.cancel()
        await _undisturbed(self._heal([*tasks, *self._given_up]))

    async def _heal(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the tasks first: what is injected after healing would stay."""
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_LIMIT_S)
        for name, nemesis in self._nemeses.items():
            try:
                async with asyncio.timeout(self._limits.nemesis_s):
                    await nemesis.heal()
            except (ClusterEnded, ClusterInterrupted):
                log.info("%s: nothing is left to heal", name)
            except Exception:  # The others must be healed too.
                log.exception("%s: healing failed", name)


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, however often this task is cancelled meanwhile; be cancelled then."""
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation


def _unrecordable(event: Event, error: NotJson) -> Event:
    """What a client answered is no JSON value: nobody can know what it meant, so it is info."""
    why = ["not-json", f"{error}: {event.value!a}"[:500]]
    return msgspec.structs.replace(event, type=Type.INFO, value=None, error=why)
