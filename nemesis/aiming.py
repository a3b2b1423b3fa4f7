"""
From what a request means to the nodes that are struck now: asks the system who leads and who votes,
asks the cluster who runs, and enters the nodes in a ledger.

A ledger holds which nodes our faults have struck, never more of them at a time than the budget. A
node is entered before it is touched and taken out when it is seen to be back, so whatever fails in
between, healing knows of it. Faults that take nodes down share one ledger.

While a fault changes a node and measures what came of it, no other fault strikes that node: a clock
that is read while `kill` ends its node would show nothing. A strike that finds no room, or whose
nodes another fault is just changing, is put off a little, and skipped if that does not help.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from dissever.harness.cluster import NodeState
from dissever.harness.system import Members, Primaries
from dissever.harness.values import reason
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.parameters import Request
from dissever.nemesis.targets import (
    BY_LEADERSHIP,
    Choice,
    TargetSpec,
    choose,
    choose_links,
    minority_size,
)

__all__ = ["Aiming", "Ledger", "known_primaries"]

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 2.0
ELECTED_LIMIT_S = 2.0
"""How long a strike that is meant for a leader waits until one is known."""

ELECTED_GAP_S = 0.05

PUT_OFF_S: Final = 1.5
"""How long a strike waits for room."""

FIRST_PUT_OFF_S: Final = 6.0
"""How long the first strike of a fault waits: if it is skipped, the run may not show that fault."""

GLANCE_S: Final = 0.05

T = TypeVar("T")


class Ledger:
    """Node -> the fault that has struck it."""

    def __init__(self, nodes: Sequence[str], budget: int | None = None) -> None:
        """`budget`: at most this many nodes at a time; None: a minority."""
        self.budget = minority_size(len(nodes)) if budget is None else budget
        self._nodes = tuple(nodes)
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Node -> the fault that has struck it."""
        return dict(self._reasons)

    @property
    def room(self) -> int:
        """How many more nodes may be struck now."""
        return max(0, self.budget - len(self._reasons))

    def of(self, fault: str) -> tuple[str, ...]:
        """The nodes that a fault has struck, in order."""
        return tuple(node for node in self._nodes if self._reasons.get(node) == fault)

    def take(self, fault: str, nodes: Iterable[str]) -> None:
        """Enter nodes that are not struck and for which there is room."""
        taken = tuple(nodes)
        assert len(taken) <= self.room
        assert not any(node in self._reasons for node in taken)
        self._reasons.update(dict.fromkeys(taken, fault))

    def give_back(self, node: str) -> None:
        """The node is itself again."""
        self._reasons.pop(node, None)

    async def bring_back(self, fault: str, undo: Callable[[str], Awaitable[object]]) -> None:
        """
        Undo a fault on each of its nodes, and give back those where that went well.

        Raises:
            Exception: What the first one raised that did not; the others are back then.
        """
        nodes = self.of(fault)
        ends = await asyncio.gather(*(undo(node) for node in nodes), return_exceptions=True)
        errors = [end for end in ends if isinstance(end, BaseException)]
        for node, end in zip(nodes, ends, strict=True):
            if not isinstance(end, BaseException):
                self.give_back(node)
        if errors:
            raise errors[0]


class Aiming:
    """Chooses targets on one cluster; `primaries` and `members` are None where there are none."""

    def __init__(
        self, cluster: AbleCluster, primaries: Primaries | None, members: Members | None
    ) -> None:
        self._cluster = cluster
        self._primaries = primaries
        self._members = members
        self._changing: Counter[str] = Counter()
        self._have_struck: set[str] = set()

    @contextmanager
    def changing(self, nodes: Iterable[str]) -> Iterator[None]:
        """Meanwhile no other fault strikes these nodes."""
        held = tuple(nodes)
        self._changing.update(held)
        try:
            yield
        finally:
            self._changing.subtract(held)

    async def leading(self) -> tuple[str, ...]:
        """Who claims to lead now; nobody, when the system cannot say so in time."""
        return await known_primaries(self._primaries)

    async def elected(self) -> tuple[str, ...]:
        """Who claims to lead, waiting a while for an election that goes on."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ELECTED_LIMIT_S
        while not (leading := await self.leading()) and loop.time() < end:
            if self._primaries is None:
                break
            await asyncio.sleep(ELECTED_GAP_S)
        return leading

    def facts(self, choice: Choice) -> Mapping[str, Any]:
        """The evidence of who was chosen; empty where the system has no leaders."""
        return choice.facts if self._primaries is not None else {}

    async def lies(self, down: Iterable[str]) -> str:
        """
        Which nodes are said to lead though they are down, in words; nothing when none is.

        If one is, the system names wrong leaders, and the choice among them was wrong, too.
        """
        lying = [node for node in await self.leading() if node in set(down)]
        return f"the system says that {', '.join(lying)} leads, which is down" if lying else ""

    async def nodes(
        self, request: Request, fault: str, ledger: Ledger, avoided: Ledger | None = None
    ) -> Choice:
        """
        Choose among the nodes that run and are not struck, within the budget, and enter them.

        It is put off while there is no room, or while another fault changes a node that is meant.

        Args:
            avoided: Another ledger, whose nodes are not chosen either.

        Raises:
            ValueError: When the request names a node that there is not.
        """
        loop, state = asyncio.get_running_loop(), request.rng.getstate()
        limit_s = PUT_OFF_S if fault in self._have_struck else FIRST_PUT_OFF_S
        until = loop.time() + limit_s
        while True:
            is_late = loop.time() >= until
            request.rng.setstate(state)
            choice = await self._chosen(request, ledger, avoided, is_late=is_late)
            if choice is None:
                await asyncio.sleep(GLANCE_S)
                continue
            # Nothing was awaited since it was chosen, so no other fault can come in between.
            targets = choice.targets
            if len(targets) > ledger.room:
                drawn = request.rng.sample(targets, ledger.room)
                targets = tuple(node for node in targets if node in drawn)
            notes = _notes(choice, targets, ledger)
            ledger.take(fault, targets)
            if targets:
                self._have_struck.add(fault)
            return Choice(targets, notes, facts=self.facts(choice) if targets else {})

    async def _chosen(
        self, request: Request, ledger: Ledger, avoided: Ledger | None, *, is_late: bool
    ) -> Choice | None:
        """Whom a request means now; None if it is better to wait, which ends once `is_late`."""
        spec = TargetSpec(request.spec) if request.targets is None else request.targets
        asks_who_leads = spec in BY_LEADERSHIP
        leading = await self.elected() if asks_who_leads else ()
        asks_who_votes = spec in (TargetSpec.VOTERS, TargetSpec.STAND_BYS)
        roles = await self._roles() if asks_who_votes else None
        nodes, states = self._cluster.nodes, self._cluster.status
        idle = [n for n in nodes if (await states(n)).state is not NodeState.RUNNING]
        struck = {*ledger.reasons, *(avoided.reasons if avoided else ())}
        changing = set(+self._changing)
        choice = choose(
            spec,
            nodes,
            primaries=leading,
            excluded={*idle, *struck, *(changing if is_late else ())},
            rng=request.rng,
            limit=request.count,
            roles=roles,
        )
        if is_late:
            return choice
        is_in_the_way = changing.intersection(choice.targets)
        is_full = not choice.targets or not ledger.room
        may_come = bool(struck or idle or changing)
        return None if is_in_the_way or (is_full and may_come) else choice

    async def links(self, request: Request) -> Choice:
        """
        Choose the links that a request means; any node may be at their ends.

        Raises:
            ValueError: When the request names a node that there is not.
        """
        leading = await self.elected() if request.spec == TargetSpec.LEADER else ()
        choice = choose_links(request, self._cluster.nodes, leading=leading)
        return replace(choice, facts=self.facts(choice))

    async def _roles(self) -> Mapping[str, str] | None:
        """Node -> its role; None when nobody can say so in time."""
        if self._members is None:
            return None
        return await _in_time("who votes", self._members.roles, None)


async def known_primaries(primaries: Primaries | None) -> tuple[str, ...]:
    """Who claims to lead now; nobody, when the system cannot say so in time."""
    return () if primaries is None else await _in_time("who leads", primaries.primaries, ())


async def _in_time(what: str, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await ask()
    except (OSError, TimeoutError) as error:
        log.warning("%s is unknown: %s", what, reason(error))
        return otherwise


def _notes(choice: Choice, targets: tuple[str, ...], ledger: Ledger) -> dict[str, str]:
    """Why fewer or other nodes were taken; asked before they are entered."""
    notes = dict(choice.notes) if targets else {}
    wanted, budget = len(choice.targets), f"the budget is {ledger.budget} down at a time"
    if not choice.targets:
        struck = ", or all are struck already" if ledger.reasons else ""
        notes["skipped"] = f"no node that is meant is running{struck}"
    elif not targets:
        notes["skipped"] = f"{budget}, and {len(ledger.reasons)} are"
    elif len(targets) < wanted:
        notes["trimmed"] = f"{len(targets)} of {wanted}: {budget}"
    return notes
