"""
One node's part in its cluster: it joins, takes a role, and looks after all roles while it leads.

`Caretaker.run` is the loop of go-dqlite's application node, as coroutines; `roles` decides, and
this module carries it out. A failure ends a turn, never the loop: the next turn starts from what
the cluster says then. Turns and a handover exclude each other, so that nobody gives back what is
being handed over.

Source: go-dqlite 3.0.4, `app/app.go`.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from dqlite.app import roles
from dqlite.app.background import in_thread
from dqlite.app.directory import Directory
from dqlite.app.roles import Change, RolesConfig, State
from dqlite.client.client import Client
from dqlite.client.connection import Dial
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions
from dqlite.errors import DqliteError, NoLeader, NotTrusted, TimedOut
from dqlite.wire.schema import LeaderNode, Member, Metadata, Role

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Between two tries to join, to take a role, or to give one up."""

SEARCH_S = 60.0
"""How long the leader is looked for; a turn asks every member once."""

LEAVING_WEIGHT = 2**63 - 1
"""Of a node that hands over: heavier than any other."""

PROBE_TIMEOUT_S = 2.0
PROBES = 16
"""At a time."""

Hook: TypeAlias = Callable[[LeaderNode | None, tuple[Member, ...]], None]
"""
Called after each turn, in a thread, with the leader and the members; its errors are logged.

Nobody waits for it: while it runs, it is not called again.
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """
    When things happen; in seconds.

    Attributes:
        interval_s: Between two looks at the cluster.
        retry_s: Between two tries to become a member.
    """

    interval_s: float = 30.0
    retry_s: float = RETRY_S

    def __post_init__(self) -> None:
        if not (self.interval_s > 0 and self.retry_s > 0):
            raise ValueError(f"expected positive intervals, got {self}")


class Caretaker:
    """Lives in one event loop; `run` until it is cancelled."""

    def __init__(
        self,
        directory: Directory,
        options: ConnectorOptions,
        *,
        config: RolesConfig,
        timing: Timing,
        hook: Hook | None = None,
        on_ready: Callable[[], None],
    ) -> None:
        """
        Describe a part; nothing happens before `run`.

        Args:
            options: How members are connected to, the leader among them.
            on_ready: Called once, when the node is a member and has its first role.
        """
        self.member = directory.member
        self.trouble: str | None = None
        """Why the last turn failed, in one line; None if it did not."""

        self._directory = directory
        self._connector = Connector(directory.store, options)
        self._once = Connector(directory.store, replace(options, retry_limit=0))
        self._dial = options.dial
        self._config = config
        self._timing = timing
        self._hook = hook
        self._on_ready = on_ready
        self._is_ready = False
        self._stored: tuple[Member, ...] = ()
        self._turns = asyncio.Lock()
        self._told: concurrent.futures.Future[None] | None = None

    async def run(self) -> None:
        """Take turns for ever."""
        while True:
            async with self._turns:
                pause_s = await self._turn()
            await asyncio.sleep(pause_s)

    async def handover(self, timeout_s: float) -> None:
        """
        Give this node's role and leadership to others, as far as they can take them; be a spare.

        The leader may go away meanwhile, because it is stopped, too. Then the next one is asked.

        Raises:
            NoLeader: If there is no leader in time.
            TimedOut: If it was not done in time; a part of it may be.
            DqliteError: If no candidate took the role or the leadership.
        """
        client = change = None
        try:
            async with asyncio.timeout(timeout_s), self._turns, self._leaving():
                while True:
                    client = await self._connector.connect(timeout_s=timeout_s)
                    try:
                        change = change or await self._give_role(client)
                        await self._abdicate(client)
                        break
                    except DqliteError as error:
                        if not error.reconnect:
                            raise
                        log.info("node %d hands over once more: %s", self.member.id, error)
                    finally:
                        client.close()
                    await asyncio.sleep(self._timing.retry_s)
                if change is not None:
                    await self._demote()
        except TimeoutError as cause:
            if client is None:
                raise NoLeader(f"no leader in {timeout_s} s to hand over to") from cause
            raise TimedOut(f"the handover was not done in {timeout_s} s") from cause

    @asynccontextmanager
    async def _leaving(self) -> AsyncIterator[None]:
        """
        Be the last choice for every role, so that no leader gives back what is handed over.

        The weight is lost when the node stops; it is restored if the handover fails.
        """
        try:
            async with await self._myself() as client:
                weight = (await client.describe()).weight
                await client.weight(LEAVING_WEIGHT)
        except DqliteError as error:
            log.info("node %d has no weight for its handover: %s", self.member.id, error)
            yield
            return
        try:
            yield
        except BaseException:
            with contextlib.suppress(DqliteError):
                async with await self._myself() as client:
                    await client.weight(weight)
            raise

    async def _myself(self) -> Client:
        return await Client.connect(self.member.address, dial=self._dial, timeout_s=PROBE_TIMEOUT_S)

    async def _turn(self) -> float:
        """Do what there is to do; return when to do so again, in seconds."""
        try:
            async with await self._once.connect(timeout_s=SEARCH_S) as client:
                await self._join(client)
                members = await self._members(client)
                if not self._is_ready:
                    await self._take_role(client, members)
                    self._is_ready = True
                    self._on_ready()
                    self._settled()
                    return self._timing.interval_s
                await self._adjust(client)
                self._tell(await client.leader(), members)
        except DqliteError as error:
            self._failed(error)
            is_settled = self._is_ready and not isinstance(error, NoLeader | NotTrusted)
            return self._timing.interval_s if is_settled else self._timing.retry_s
        self._settled()
        return self._timing.interval_s

    async def _join(self, client: Client) -> None:
        """Become a member, if the node is to join and did not do so before it was stopped."""
        if not self._directory.is_joining:
            return
        if self.member.id not in [member.id for member in await client.cluster()]:
            await client.add(self.member.id, self.member.address)
        self._directory.joined()
        log.info("node %d at %s joined", self.member.id, self.member.address)

    async def _members(self, client: Client) -> tuple[Member, ...]:
        """Ask for the members, and keep them for the next start."""
        members = await client.cluster()
        if not members:
            raise NoLeader(f"the leader {client.address} lists no members")
        if members != self._stored:
            self._directory.store.set(members)
            self._stored = members
        return members

    async def _take_role(self, client: Client, members: Sequence[Member]) -> None:
        """
        Take the role that the cluster lacks.

        The third node of a cluster also has the second one made a voter: two do not vote.
        """
        state = await probe(members, self._dial)
        role = roles.assume(state, self._config, self.member.id)
        if role is None:
            return
        await _assign(client, Change(role, (self.member,)))
        if role is Role.VOTER and len(roles.members(state, Role.VOTER)) == 1:
            others = [m for m in state if m.id != self.member.id and m.role is not Role.VOTER]
            others = [m for m in others if state[m] is not None]
            try:
                await _assign(client, Change(Role.VOTER, tuple(others)))
            except DqliteError as error:  # the leader will do it
                log.info("node %d: no third voter yet: %s", self.member.id, error)

    async def _adjust(self, client: Client) -> None:
        """Change roles until nothing is to be changed, if this node leads."""
        while (leader := await client.leader()) is not None and leader.id == self.member.id:
            state = await probe(await client.cluster(), self._dial)
            change = roles.adjust(state, self._config, self.member.id)
            if change is None:
                return
            await _assign(client, change)

    def _tell(self, leader: LeaderNode | None, members: tuple[Member, ...]) -> None:
        if self._hook is None or (self._told is not None and not self._told.done()):
            return
        call = partial(self._call, self._hook, leader, members)
        self._told = in_thread(call, f"dqlite-roles-hook-{self.member.id}")

    def _call(self, hook: Hook, leader: LeaderNode | None, members: tuple[Member, ...]) -> None:
        try:
            hook(leader, members)
        except Exception:  # the user's code: no reason to stop looking after the cluster
            log.exception("node %d: the hook for roles failed", self.member.id)

    async def _give_role(self, client: Client) -> Change | None:
        """Have another node take the role of this one; return None if there is nobody."""
        state = await probe(await client.cluster(), self._dial)
        change = roles.handover(state, self.member.id)
        if change is not None:
            await _assign(client, change)
        return change

    async def _abdicate(self, client: Client) -> None:
        """Have another voter lead, if this node leads and there is one."""
        leader = await client.leader()
        if leader is None or leader.id != self.member.id:
            return
        state = await probe(await client.cluster(), self._dial)
        voters = [m for m in roles.members(state, Role.VOTER) if m.id != self.member.id]
        failure: DqliteError | None = None
        for voter in roles.by_preference(state, voters, ()):
            try:
                await client.transfer(voter.id)
            except DqliteError as error:
                log.warning("node %d: cannot transfer to %s: %s", self.member.id, voter, error)
                failure = error
                if not client.is_open:
                    break
            else:
                log.info("node %d handed the leadership to %d", self.member.id, voter.id)
                return
        if failure is not None:
            raise failure

    async def _demote(self) -> None:
        """
        Make this node a spare, and try again until the time of the handover is over.

        A new leader has first to commit an entry of its own term.
        """
        while True:
            try:
                async with await self._connector.connect(timeout_s=SEARCH_S) as client:
                    if await _role(client, self.member.id) not in (None, Role.SPARE):
                        await client.assign(self.member.id, Role.SPARE)
                    return
            except DqliteError as error:
                log.info("node %d is no spare yet: %s", self.member.id, error)
                await asyncio.sleep(self._timing.retry_s)

    def _failed(self, error: DqliteError) -> None:
        """Log a failure once, until the next turn that succeeds."""
        reason = str(error)
        level = logging.DEBUG if reason == self.trouble else logging.WARNING
        log.log(level, "node %d: %s", self.member.id, reason)
        self.trouble = reason

    def _settled(self) -> None:
        self.trouble = None


async def probe(
    members: Sequence[Member], dial: Dial | None, timeout_s: float = PROBE_TIMEOUT_S
) -> State:
    """Ask each member for its metadata; one that does not answer in time counts as offline."""
    turns = asyncio.Semaphore(PROBES)

    async def ask(member: Member) -> Metadata | None:
        try:
            async with turns, asyncio.timeout(timeout_s):
                client = await Client.connect(member.address, dial=dial, timeout_s=timeout_s)
                async with client:
                    return await client.describe()
        except (DqliteError, TimeoutError) as error:
            log.debug("%s is offline: %r", member.address, error)
            return None

    return dict(zip(members, await asyncio.gather(*map(ask, members)), strict=True))


async def _assign(client: Client, change: Change) -> None:
    """
    Give a role to the first candidate that takes it.

    Raises:
        DqliteError: That of the last one tried, if none did.
    """
    failure = DqliteError(f"there is no candidate for the role {change.role.name}")
    for member in change.candidates:
        try:
            await client.assign(member.id, change.role)
        except DqliteError as error:
            if not client.is_open:
                raise
            if await _role(client, member.id) != change.role:  # somebody else may have done it
                log.warning("cannot make %s a %s: %s", member, change.role.name, error)
                failure = error
                continue
        log.info("%s is now a %s", member, change.role.name)
        return
    raise failure


async def _role(client: Client, node_id: int) -> Role | None:
    """Return the role of a member, None for one that is no member."""
    roles_by_id = {member.id: member.role for member in await client.cluster()}
    return roles_by_id.get(node_id)
