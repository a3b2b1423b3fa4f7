"""
A scripted conversation with a client, which shows whether its answers can be believed.

Each check has a client of its own. What counts is the database: a client that says fail is wrong
when another client then sees the change, and one that says ok is wrong when no answer can have come
to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol, TypeAlias

from dissever.harness.bugs import Bug
from dissever.harness.calls import close, completion_of
from dissever.harness.client import Client, Completion, Invocation, NotApplied
from dissever.harness.history import Type
from dissever.harness.values import quoted, reason, show
from dissever.harness.vocabulary import NONSENSE
from dissever.systems.clients.answers import Nonsense
from dissever.systems.clients.gate import Gate, Mode
from dissever.systems.clients.kinds import ForwardedProgram

RECOVERY_TRIES: Final = 5
"""How often a client may say that it is not connected once it can connect again."""

OPEN_S: Final = 10.0
"""How long a client may take to open, so that a slow start does not hide the rest."""

EXIT_S: Final = 2.0
"""How long a program may take to exit when its stdin ends."""

_LISTEN_S: Final = 0.02
"""How long after each answer a second one is waited for."""

_SAID: Final = (OSError, NotApplied, Nonsense)
"""Errors whose message is enough."""

Open: TypeAlias = Callable[[], Awaitable[Client]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether the client passed it, what was expected, and what came."""

    check: str
    is_passed: bool
    expected: str
    came: str


class Refuted(Exception):
    """A client did what it must not do."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}, got {came}")
        self.expected = expected
        self.came = came


class Object(Protocol):
    """One object of the database that nobody else uses, with changes that are all different."""

    def change(self) -> tuple[int, Invocation]:
        """A new change: the number that it leaves behind, and the operation."""

    def look(self) -> Invocation:
        """The operation that reads the object."""

    def holds(self, seen: Any, number: int) -> bool:
        """Whether what was read shows the change with that number."""


class Register:
    """A register that was never written."""

    def __init__(self, rng: Random) -> None:
        self.key = rng.randrange(1 << 30, 1 << 31)
        self._next = rng.randrange(1 << 20, 1 << 30)

    def change(self) -> tuple[int, Invocation]:
        self._next += 1
        return self._next, Invocation("write", self._next, key=self.key)

    def look(self) -> Invocation:
        return Invocation("read", key=self.key)

    def holds(self, seen: Any, number: int) -> bool:
        return bool(seen == number)


class Elements:
    """The set; its elements were never added before."""

    def __init__(self, rng: Random) -> None:
        self._next = rng.randrange(1 << 30, 1 << 31)

    def change(self) -> tuple[int, Invocation]:
        self._next += 1
        return self._next, Invocation("add", self._next)

    def look(self) -> Invocation:
        return Invocation("read")

    def holds(self, seen: Any, number: int) -> bool:
        return number in seen


class Conversation:
    """
    What the checks have: clients by way of a gate, and objects.

    Args:
        open_client: Opens one more client to the same node.
        limit_s: How long an operation may take.
    """

    def __init__(self, open_client: Open, gate: Gate, rng: Random, store: str, limit_s: float):
        self.gate = gate
        self.rng = rng
        self.limit_s = limit_s
        self._open = open_client
        self._object = OBJECTS[store]

    def new_object(self) -> Object:
        return self._object(self.rng)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A client that is open. Raises `Refuted` when none can be opened."""
        try:
            async with asyncio.timeout(OPEN_S):
                client = await self._open()
        except TimeoutError:
            raise Refuted("a client that is open", f"none within {OPEN_S:g} s") from None
        except Exception as error:  # It is the user's code.
            came = reason(error) if isinstance(error, _SAID) else repr(error)
            raise Refuted("a client that is open", came) from error
        try:
            yield client
        finally:
            await close(client)

    async def ask(self, client: Client, invocation: Invocation) -> Completion | None:
        """
        The answer; None when none comes within the limit.

        Raises:
            Refuted: When it is no answer, or more than one.
        """
        try:
            async with asyncio.timeout(self.limit_s):
                completion = await completion_of(client, invocation)
        except TimeoutError:
            return None
        except Bug as bug:
            raise Refuted(f"an answer to {_said(invocation)}", str(bug)) from bug
        if completion.type is Type.INFO and _is_nonsense(completion):
            expected, _, came = completion.error[1].removeprefix("expected ").partition(", got ")
            raise Refuted(f"{expected} ({_said(invocation)})", came or "something else")
        if isinstance(client, ForwardedProgram):
            await asyncio.sleep(_LISTEN_S)
            if unasked := client.program.unasked:
                expected = f"one line as the answer to {_said(invocation)}"
                raise Refuted(expected, f"after it also {quoted(unasked)}")
        return completion

    async def ok(self, client: Client, invocation: Invocation) -> Any:
        """The value of an operation that must succeed."""
        completion = await self.ask(client, invocation)
        if completion is None or completion.type is not Type.OK:
            raise _refuted(f"ok for {_said(invocation)}", completion, self.limit_s)
        return completion.value

    async def holds(self, subject: Object, number: int) -> bool:
        """Whether a client of its own sees the change."""
        async with self.client() as other:
            return subject.holds(await self.ok(other, subject.look()), number)


def _is_nonsense(completion: Completion) -> bool:
    error = completion.error
    return isinstance(error, list) and len(error) == 2 and error[0] in ("program", NONSENSE)


def _said(invocation: Invocation) -> str:
    """An operation as people read it: `write 5 to key 3`."""
    value = "" if invocation.value is None else f" {show(invocation.value)}"
    key = "" if invocation.key is None else f" of key {invocation.key}"
    return f"{invocation.f}{value}{key}"


def _refuted(expected: str, completion: Completion | None, limit_s: float = 0.0) -> Refuted:
    return Refuted(expected, _shown(completion, limit_s))


def _shown(completion: Completion | None, limit_s: float) -> str:
    if completion is None:
        return f"no answer within {limit_s:g} s"
    if _is_nonsense(completion):
        return str(completion.error[1])
    if completion.type is Type.OK:
        return f"ok with {show(completion.value)}"
    return f"{completion.type.value}: {show(completion.error)}"


# The checks, in the order of the conversation. Each has one sentence: what a client should do.


async def opens(talk: Conversation) -> str:
    """opens its node"""
    async with talk.client():
        return ""


async def reads_nothing(talk: Conversation) -> str:
    """reads what was never written"""
    subject = talk.new_object()
    number, _ = subject.change()
    talk.gate.mark()
    async with talk.client() as client:
        seen = await talk.ok(client, subject.look())
        if isinstance(subject, Register) and seen is not None:
            raise Refuted("null for a key that was never written", show(seen))
        if subject.holds(seen, number):
            raise Refuted(f"no element {number}, which was never added", "it is there")
    if not talk.gate.sent:
        raise Refuted("that it connects to the address that it was given", "no connection there")
    return ""


async def reads_what_it_wrote(talk: Conversation) -> str:
    """reads what it has written"""
    async with talk.client() as client:
        for subject in (talk.new_object(), talk.new_object()):
            number, change = subject.change()
            await talk.ok(client, change)
            seen = await talk.ok(client, subject.look())
            if not subject.holds(seen, number):
                raise Refuted(f"{number} after {_said(change)}", show(seen))
    return ""


async def keeps_objects_apart(talk: Conversation) -> str:
    """keeps keys apart"""
    first, second = talk.new_object(), talk.new_object()
    async with talk.client() as client:
        (one, change), (two, other) = first.change(), second.change()
        await talk.ok(client, change)
        await talk.ok(client, other)
        for subject, number in ((first, one), (second, two), (first, one)):
            seen = await talk.ok(client, subject.look())
            if not subject.holds(seen, number):
                raise Refuted(f"{number} for {_said(subject.look())}", show(seen))
    return ""


async def compares_and_sets(talk: Conversation) -> str:
    """sets a register whose value is the expected one"""
    subject = Register(talk.rng)
    old, change = subject.change()
    async with talk.client() as client:
        await talk.ok(client, change)
        await talk.ok(client, Invocation("cas", [old, old + 1], key=subject.key))
        seen = await talk.ok(client, subject.look())
        if seen != old + 1:
            raise Refuted(f"{old + 1} after a cas from {old} to {old + 1} was ok", show(seen))
    return ""


async def compares_before_it_sets(talk: Conversation) -> str:
    """says fail to a cas whose expected value is another, and sets nothing"""
    subject = Register(talk.rng)
    old, change = subject.change()
    async with talk.client() as client:
        await talk.ok(client, change)
        wrong = Invocation("cas", [old + 7, old + 1], key=subject.key)
        completion = await talk.ask(client, wrong)
        if completion is None or completion.type is not Type.FAIL:
            expected = f"fail for a cas that expects {old + 7} where {old} is"
            raise _refuted(expected, completion, talk.limit_s)
        seen = await talk.ok(client, subject.look())
        if seen != old:
            raise Refuted(f"{old}, since that cas had failed", show(seen))
    return _shown(completion, talk.limit_s)


async def asks_the_node(talk: Conversation) -> str:
    """reads what another client has written"""
    subject = talk.new_object()
    async with talk.client() as client, talk.client() as other:
        number, change = subject.change()
        await talk.ok(client, change)
        await talk.ok(client, subject.look())
        number, change = subject.change()
        await talk.ok(other, change)
        talk.gate.mark()
        seen = await talk.ok(client, subject.look())
        if not subject.holds(seen, number):
            came = f"{show(seen)}: it reads from a copy of its own, or a stale one"
            raise Refuted(f"{number}, another client's {_said(change)} was acknowledged", came)
        if not talk.gate.sent:
            raise Refuted("that every read asks the node", "a read for which it sent nothing")
    return ""


async def survives_unknown_requests(talk: Conversation) -> str:
    """says fail or info to a request that it does not know, and goes on"""
    subject = talk.new_object()
    async with talk.client() as client:
        try:
            completion = await talk.ask(client, Invocation("no-such-request"))
        except Refuted as refuted:
            raise Refuted('fail or info for "no-such-request"', refuted.came) from refuted
        if completion is None or completion.type is Type.OK:
            raise _refuted('fail or info for "no-such-request"', completion, talk.limit_s)
        await talk.ok(client, subject.look())
    return _shown(completion, talk.limit_s)


async def connects_again(talk: Conversation) -> str:
    """works again after its connection was reset"""
    subject = talk.new_object()
    async with talk.client() as client:
        await talk.ok(client, subject.look())
        talk.gate.reset()
        return await _recovers(talk, client, subject)


async def _recovers(talk: Conversation, client: Client, subject: Object) -> str:
    """After info a run opens a new client; after fail it goes on with the old one."""
    completion: Completion | None = None
    for _ in range(RECOVERY_TRIES):
        completion = await talk.ask(client, subject.look())
        if completion is None or completion.type is not Type.FAIL:
            break
    if completion is not None and completion.type is Type.FAIL:
        came = f"{RECOVERY_TRIES} times {_shown(completion, talk.limit_s)}"
        raise Refuted("that it connects again, or says info so that it is replaced", came)
    async with talk.client() as other:
        await talk.ok(other, subject.look())
    return _shown(completion, talk.limit_s)


async def admits_refusal(talk: Conversation) -> str:
    """says fail or info when the node refuses connections"""
    completion = None
    for is_connected in (True, False):
        subject = talk.new_object()
        number, change = subject.change()
        async with talk.client() as client:
            if is_connected:
                await talk.ok(client, subject.look())
            talk.gate.set(Mode.REFUSE)
            completion = await talk.ask(client, change)
            talk.gate.set(Mode.PASS)
            if completion is not None and completion.type is Type.OK:
                raise _refuted("fail or info when nothing listens", completion)
            await _is_true(talk, completion, subject, number)
            if completion is not None and completion.type is Type.FAIL:
                await _recovers(talk, client, subject)
    return _shown(completion, talk.limit_s)


async def admits_a_lost_answer(talk: Conversation) -> str:
    """says info when its connection is reset before the answer, and sends nothing again"""
    subject = talk.new_object()
    number, change = subject.change()
    async with talk.client() as client:
        await talk.ok(client, subject.look())
        talk.gate.mark()
        talk.gate.set(Mode.RESET)
        completion = await talk.ask(client, change)
        talk.gate.set(Mode.PASS)
        sent = talk.gate.sent
        if completion is not None and completion.type is Type.OK:
            came = "ok: it sent the operation again, or took silence for success"
            raise Refuted("info when the answer was lost", came)
        await _is_true(talk, completion, subject, number)
        again = [each for each in sent[1:] if sent[0] in each]
        if again:
            came = f"its {len(sent[0])} bytes on {len(again) + 1} connections"
            raise Refuted("that one operation is sent once", came)
    return _shown(completion, talk.limit_s)


async def admits_silence(talk: Conversation) -> str:
    """says info, or nothing, when no answer comes from the node"""
    subject = talk.new_object()
    number, change = subject.change()
    async with talk.client() as client:
        await talk.ok(client, subject.look())
        talk.gate.set(Mode.STALL)
        completion = await talk.ask(client, change)
        talk.gate.set(Mode.PASS)
        talk.gate.reset()
        if completion is not None and completion.type is Type.OK:
            raise _refuted("info when no answer came from the node", completion)
        await _is_true(talk, completion, subject, number)
    if completion is None:
        return f"no answer within {talk.limit_s:g} s: a run would record info"
    return _shown(completion, talk.limit_s)


async def _is_true(
    talk: Conversation, completion: Completion | None, subject: Object, number: int
) -> None:
    """Fail is a promise that the change never takes effect."""
    is_fail = completion is not None and completion.type is Type.FAIL
    if is_fail and await talk.holds(subject, number):
        came = f"{_shown(completion, talk.limit_s)}, but {number} is there: fail was a lie"
        raise Refuted("info when it cannot know", came)


async def exits(talk: Conversation) -> str:
    """exits when its stdin ends"""
    async with talk.client() as client:
        assert isinstance(client, ForwardedProgram)
        if not await client.program.exits(EXIT_S):
            raise Refuted("its end after the end of stdin", f"it runs on after {EXIT_S:g} s")
    return ""


Check: TypeAlias = Callable[[Conversation], Awaitable[str]]

OBJECTS: Final[Mapping[str, Callable[[Random], Object]]] = {
    "registers": Register,
    "elements": Elements,
}

BASIC: Final[tuple[Check, ...]] = (opens, reads_nothing, reads_what_it_wrote)
"""What every other check needs."""

_CAS: Final[tuple[Check, ...]] = (compares_and_sets, compares_before_it_sets)


def checks(store: str, *, of_program: bool) -> tuple[Check, ...]:
    """What clients of a store are tried on; the last two concern programs alone."""
    return (
        *BASIC,
        keeps_objects_apart,
        *(_CAS if store == "registers" else ()),
        asks_the_node,
        connects_again,
        admits_refusal,
        admits_a_lost_answer,
        admits_silence,
        *((survives_unknown_requests, exits) if of_program else ()),
    )


async def conversation(talk: Conversation, script: Sequence[Check]) -> AsyncIterator[Finding]:
    """Carry out checks, one after another. Where one of the first fails, no other is tried."""
    for check in script:
        sentence = check.__doc__ or check.__name__
        talk.gate.set(Mode.PASS)
        try:
            came = await check(talk)
        except Refuted as refuted:
            yield Finding(sentence, False, refuted.expected, refuted.came)
            if check in BASIC:
                return
        else:
            yield Finding(sentence, True, sentence, came)
