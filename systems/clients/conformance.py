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
from typing import Any, Final, TypeAlias

from dissever.harness.bugs import Bug
from dissever.harness.calls import close, completion_of
from dissever.harness.client import Client, Completion, Invocation, NotApplied
from dissever.harness.history import Type
from dissever.harness.values import quoted, reason, show
from dissever.harness.vocabulary import NONSENSE
from dissever.systems.clients.answers import Nonsense
from dissever.systems.clients.gate import Gate, Mode
from dissever.systems.clients.kinds import ForwardedProgram
from dissever.systems.clients.objects import OBJECTS, Object, Register, Transacted
from dissever.workloads.transactions import APPEND, READ, TXN, TransactionClient

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


class Conversation:
    """
    What the checks have: clients by way of a gate, and objects.

    Args:
        open_client: Opens one more client to the same node.
        limit_s: How long an operation may take.
    """

    def __init__(self, open_client: Open, gate: Gate, rng: Random, workload: str, limit_s: float):
        self.gate = gate
        self.rng = rng
        self.limit_s = limit_s
        self._open = open_client
        self._object = OBJECTS[workload]

    def new_object(self) -> Object:
        return self._object(self.rng)

    def new_transacted(self) -> Transacted:
        """A new object that takes part in transactions."""
        made = self.new_object()
        assert isinstance(made, Transacted)
        return made

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
        if not subject.is_fresh(seen):
            raise Refuted("nothing in what was never written", show(seen))
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


async def reads_its_own_changes(talk: Conversation) -> str:
    """reads in a transaction what it has changed in it, and changes all of it at once"""
    first, second = talk.new_transacted(), talk.new_transacted()
    (one, change), (two, other) = first.change(), second.change()
    looks = [*first.look().value, *second.look().value]
    async with talk.client() as client:
        whole = [*first.look().value, *change.value, *looks, *other.value, *second.look().value]
        before, _, held, not_yet, _, after = await talk.ok(client, Invocation(TXN, whole))
        for subject, seen, number, is_held in (
            (first, before, one, False),
            (first, held, one, True),
            (second, not_yet, two, False),
            (second, after, two, True),
        ):
            if subject.holds([seen], number) is not is_held:
                expected = f"{number} {'after' if is_held else 'not before'} it was set in it"
                raise Refuted(expected, show(seen))
    async with talk.client() as other_client:
        seen = await talk.ok(other_client, Invocation(TXN, looks))
        if not (first.holds(seen[:1], one) and second.holds(seen[1:], two)):
            raise Refuted(f"{one} and {two}, since their transaction was ok", show(seen))
    return ""


async def rolls_back(talk: Conversation) -> str:
    """leaves nothing of a transaction that is rolled back"""
    subject, asked = talk.new_transacted(), talk.new_transacted()
    number, change = subject.change()
    async with talk.client() as client:
        if not isinstance(client, TransactionClient) or client.is_whole:
            return "not tried: it takes transactions as a whole"
        strange = [READ, asked.key, [number] if asked.write == APPEND else number]
        completion = await talk.ask(client, Invocation(TXN, [*change.value, strange]))
        if completion is None or completion.type is not Type.FAIL:
            raise _refuted("fail for what is rolled back", completion, talk.limit_s)
        if subject.holds(await talk.ok(client, subject.look()), number):
            raise Refuted(f"no {number}, which was rolled back", "it is there")
    if await talk.holds(subject, number):
        raise Refuted(f"no {number}, which was rolled back", "another client sees it")
    return ""


async def admits_a_lost_commit(talk: Conversation) -> str:
    """says info when its connection is reset before the answer to a commit"""
    subject = talk.new_transacted()
    number, change = subject.change()
    async with talk.client() as client:
        if not isinstance(client, TransactionClient) or client.is_whole:
            return "not tried: it takes transactions as a whole"
        cut = TransactionClient(_LosesCommits(client.store, talk.gate), client.reading)
        completion = await talk.ask(cut, Invocation(TXN, subject.look().value + change.value))
        talk.gate.set(Mode.PASS)
        if completion is not None and completion.type is Type.OK:
            raise _refuted("info when the answer to a commit was lost", completion)
        await _is_true(talk, completion, subject, number)
    return _shown(completion, talk.limit_s)


class _LosesCommits:
    """A store of transactions whose connections are reset before the answer to a commit."""

    def __init__(self, store: Any, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def __getattr__(self, method: str) -> Any:
        return getattr(self._store, method)

    async def commit(self) -> None:
        self._gate.set(Mode.RESET)
        await self._store.commit()


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

BASIC: Final[tuple[Check, ...]] = (opens, reads_nothing, reads_what_it_wrote)
"""What every other check needs."""

_MORE: Final[Mapping[str, tuple[Check, ...]]] = {
    "register": (compares_and_sets, compares_before_it_sets),
    "append": (reads_its_own_changes, rolls_back, admits_a_lost_commit),
    "wr": (reads_its_own_changes, rolls_back, admits_a_lost_commit),
}


def checks(workload: str, *, of_program: bool) -> tuple[Check, ...]:
    """What clients are tried on for a workload; the last two concern programs alone."""
    return (
        *BASIC,
        keeps_objects_apart,
        *_MORE.get(workload, ()),
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
