"""
A replicated store in virtual time, correct unless a bug is switched on.

Every key is a register of its own, agreed on by CASPaxos. Any node proposes a change of the current
value: it first asks a majority for a promise and for what they hold, then asks them to accept the
changed value. A refusal in the first phase means not applied; an error in the second means unknown.

Proposers that compete make operations unknown without any fault. So each key has a node that
proposes for it, and the others pass requests on to it as long as it answers. Every value that it
gets accepted carries the promise for its next ballot. Only speed depends on this.

Transactions (`transactions.py`) have one value for the whole database. Requests for it that
wait are agreed on together.

Source: D. Rystsov, "CASPaxos: Replicated State Machines without logs", 2018, sections 2.2
and 2.2.1 (one round trip).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from dissever.harness.client import NotApplied
from dissever.harness.cluster.simulated import SimulatedCluster

BUGS: Mapping[str, str] = {
    "stale-read": "a node keeps what it read for a while, and answers reads from that copy",
    "lost-write": "a node sometimes acknowledges a write that it alone holds",
    "double-write": "a node sometimes applies a write again after it was acknowledged",
    "dirty-read": "a node shows a write to its readers and then refuses it",
}
"""Bugs of all stores; to transactions a commit is a write."""

QUORUM_LIMIT_S = 0.4
"""How long a proposer waits for a majority."""

PASSED_ON_LIMIT_S = 0.6
"""How long a node waits for the one that it passed a request on to."""

SHUNNED_S = 2.0
"""How long a node passes nothing on to one that did not answer."""

ROUNDS = 12
"""How often a proposer that met a higher ballot tries again, before it has proposed anything."""

BUG_SHARE = 0.1
"""The share of writes that a bug strikes, where it does not strike always."""

STALE_S = 0.1
"""How long a node keeps a copy of what it read, with the bug that makes reads stale."""

DATABASE = "database"
"""The key of what transactions read and change."""

Ballot = tuple[int, str]
Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Promise not to take part in lower ballots, and say what you hold."""

    key: str
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Accept:
    """Hold this value, and promise the next ballot too, unless a higher one was promised."""

    key: str
    ballot: Ballot
    value: Any
    next_ballot: Ballot


@dataclass(frozen=True, slots=True)
class Do:
    """A client's request; once passed on, it is with the node that proposes for its key."""

    key: str
    change: Change
    f: str
    value: Any = None
    is_passed_on: bool = False


class Node:
    """Acceptor and proposer in one. Only what it promised and accepted is durable."""

    def __init__(
        self, name: str, durable: dict[str, Any], cluster: SimulatedCluster, rng: Random, bug: str
    ) -> None:
        self._name = name
        self._durable = durable
        self._cluster = cluster
        self._rng = rng
        self._bug = bug
        self._dirty: dict[str, Any] = {}
        self._copies: dict[str, tuple[Any, float]] = {}
        self._promised: dict[str, tuple[Ballot, Any]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting: list[tuple[Change, asyncio.Future[Any]]] = []
        self._shunned_until_s: dict[str, float] = {}
        self._background: set[asyncio.Task[Any]] = set()
        durable.setdefault("promised", {})
        durable.setdefault("accepted", {})
        durable.setdefault("counter", 0)

    def handle(self, source: str | None, request: Any) -> Any:
        if isinstance(request, Prepare):
            return self._promise(request)
        if isinstance(request, Accept):
            return self._accept(request)
        if isinstance(request, Do):
            return self._do(request) if request.is_passed_on else self._serve(request)
        return self._name

    # Acceptor.

    def _promise(self, request: Prepare) -> tuple[bool, Ballot, Any]:
        promised = self._durable["promised"]
        highest = promised.get(request.key, (0, ""))
        if request.ballot < highest:
            return False, highest, None
        promised[request.key] = request.ballot
        ballot, value = self._durable["accepted"].get(request.key, ((0, ""), None))
        return True, ballot, value

    def _accept(self, request: Accept) -> tuple[bool, Ballot, Any]:
        promised = self._durable["promised"]
        highest = promised.get(request.key, (0, ""))
        if request.ballot < highest:
            return False, highest, None
        promised[request.key] = request.next_ballot
        self._durable["accepted"][request.key] = (request.ballot, request.value)
        return True, request.ballot, None

    # Proposer.

    async def _serve(self, request: Do) -> Any:
        if request.f == "read" and self._bug == "stale-read":
            return await self._read_stale(request)
        return await self._pass_on(request)

    async def _pass_on(self, request: Do) -> Any:
        """Have it done by the node that proposes for the key."""
        passed_on = replace(request, is_passed_on=True)
        while (proposer := self._proposer(request.key)) != self._name:
            try:
                async with asyncio.timeout(PASSED_ON_LIMIT_S):
                    return await self._cluster.request(self._name, proposer, passed_on)
            except ConnectionRefusedError:
                self._shunned_until_s[proposer] = now_s() + SHUNNED_S  # The next one, then.
            except (ConnectionError, TimeoutError) as error:
                self._shunned_until_s[proposer] = now_s() + SHUNNED_S
                raise TimeoutError(f"no answer from {proposer}, which proposes here") from error
        return await self._do(request)

    def _proposer(self, key: str) -> str:
        """The first node that is not shunned, counted from the key's own; in the end this one."""
        nodes = self._cluster.nodes
        start = sum(key.encode()) % len(nodes)
        for node in (*nodes[start:], *nodes[:start]):
            if node == self._name or self._shunned_until_s.get(node, 0) <= now_s():
                return node
        raise AssertionError("a node does not shun itself")

    async def _do(self, request: Do) -> Any:
        key = request.key
        if request.f == "read" and key in self._dirty:
            return self._dirty[key]
        is_struck = request.f in ("write", "add") and self._rng.random() < BUG_SHARE
        if is_struck and self._bug == "dirty-read":
            return await self._refuse_late(request)
        if key == DATABASE and not is_struck:
            return await self._together(request)
        value = await self._propose(request, alone=is_struck and self._bug == "lost-write")
        if is_struck and self._bug == "double-write":
            self._later(self._again(request))
        return value

    async def _together(self, request: Do) -> Any:
        """Propose it with all others that wait for the database by then, in their order."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((request.change, answer))
        async with self._turns.setdefault(request.key, asyncio.Lock()):
            if not answer.done():
                batch, self._waiting = self._waiting, []
                await self._propose_batch(request, batch)
        return answer.result()

    async def _propose_batch(
        self, request: Do, batch: list[tuple[Change, asyncio.Future[Any]]]
    ) -> None:
        outcomes: list[Any] = []

        def change(value: Any) -> Any:
            outcomes.clear()
            for each, _ in batch:
                try:
                    value = each(value)
                    outcomes.append(value)
                except NotApplied as error:
                    outcomes.append(error)
            return value

        try:
            await self._propose_now(replace(request, change=change), alone=False)
        except (NotApplied, TimeoutError) as error:
            outcomes = [error] * len(batch)
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    async def _propose(self, request: Do, *, alone: bool) -> Any:
        async with self._turns.setdefault(request.key, asyncio.Lock()):
            return await self._propose_now(request, alone=alone)

    async def _propose_now(self, request: Do, *, alone: bool) -> Any:
        key = request.key
        for _ in range(ROUNDS):
            if key in self._promised:
                ballot, current = self._promised.pop(key)
            else:
                ballot, current = await self._prepare(key)
            changed = request.change(current)
            accept = Accept(key, ballot, changed, self._next_ballot())
            if alone:
                self._accept(accept)
                return changed
            answers = await self._ask(accept)
            agreed = sum(ok for ok, _, _ in answers)
            if agreed >= self._majority:
                self._promised[key] = (accept.next_ballot, changed)
                return changed
            if agreed or len(answers) < len(self._cluster.nodes):
                raise TimeoutError("no majority accepted in time; some may have")
            # All refused, so nobody holds it, and it may be tried again.
            await self._step_back(answers)
        raise NotApplied("higher ballots, again and again", "contention")

    async def _prepare(self, key: str) -> tuple[Ballot, Any]:
        for _ in range(ROUNDS):
            ballot = self._next_ballot()
            answers = await self._ask(Prepare(key, ballot))
            promises = [(held, value) for ok, held, value in answers if ok]
            if len(promises) >= self._majority:
                return ballot, max(promises, key=lambda promise: promise[0])[1]
            if len(promises) == len(answers):
                raise NotApplied("no majority answered", "no-quorum")
            await self._step_back(answers)
        raise NotApplied("higher ballots, again and again", "contention")

    async def _step_back(self, answers: list[tuple[bool, Ballot, Any]]) -> None:
        """Let others finish, and go above their ballots then."""
        highest = max(ballot[0] for _, ballot, _ in answers)
        self._durable["counter"] = max(self._durable["counter"], highest)
        await asyncio.sleep(self._rng.uniform(0.001, 0.02))

    def _next_ballot(self) -> Ballot:
        self._durable["counter"] += 1
        return self._durable["counter"], self._name

    @property
    def _majority(self) -> int:
        return len(self._cluster.nodes) // 2 + 1

    async def _ask(self, request: Prepare | Accept) -> list[tuple[bool, Ballot, Any]]:
        """
        The answers so far, once a majority has agreed or can no longer agree, or the time is up.

        While no node has agreed to an `Accept`, all are waited for: what all refused never happens.
        """
        nodes = self._cluster.nodes
        answers: list[tuple[bool, Ballot, Any]] = []
        enough = asyncio.get_running_loop().create_future()

        def take(answer: asyncio.Future[Any]) -> None:
            if enough.done():
                return
            if answer.exception() is None:
                answers.append(answer.result())
            elif isinstance(answer.exception(), ConnectionRefusedError):
                answers.append((False, (0, ""), None))  # No process there: it was never asked.
            agreed = sum(ok for ok, _, _ in answers)
            refused = len(answers) - agreed
            is_settled = agreed > 0 or refused == len(nodes) or isinstance(request, Prepare)
            if agreed >= self._majority or (refused >= self._majority and is_settled):
                enough.set_result(None)

        for node in nodes:
            self._cluster.send(self._name, node, request).add_done_callback(take)
        with suppress(TimeoutError):
            async with asyncio.timeout(QUORUM_LIMIT_S):
                await enough
        return answers

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    # The bugs that need more than a shortcut.

    async def _read_stale(self, request: Do) -> Any:
        value, until_s = self._copies.get(request.key, (None, -1.0))
        if now_s() > until_s:
            value = await self._pass_on(request)
            self._copies[request.key] = (value, now_s() + STALE_S)
        return value

    async def _refuse_late(self, request: Do) -> Any:
        held = self._durable["accepted"].get(request.key, (None, None))[1]
        self._dirty[request.key] = request.change(held)
        await asyncio.sleep(0.05)
        self._dirty.pop(request.key, None)
        raise NotApplied("refused after all", "aborted")

    async def _again(self, request: Do) -> None:
        await asyncio.sleep(0.1)
        await self._propose(request, alone=False)


def now_s() -> float:
    """The time of the virtual clock, in seconds."""
    return asyncio.get_running_loop().time()
