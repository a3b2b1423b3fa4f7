"""
From what a request means to the nodes that are struck now: asks the system who leads and who votes,
asks the cluster who runs, and enters the nodes in a ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dissever.harness.cluster import NodeState
from dissever.harness.system import Members, Primaries
from dissever.nemesis.abilities import WithProcesses
from dissever.nemesis.ledger import Ledger
from dissever.nemesis.requests import Request
from dissever.nemesis.targets import Choice, LinkChoice, TargetSpec, choose, choose_links

__all__ = ["Aim", "Aiming", "known_primaries"]

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Aim:
    """
    The nodes to strike, already entered in a ledger.

    `notes` says, for the history, where the request was not followed to the letter.
    """

    targets: tuple[str, ...]
    notes: Mapping[str, str]


class Aiming:
    """Chooses targets on one cluster; `primaries` and `members` are None where there are none."""

    def __init__(
        self, cluster: WithProcesses, primaries: Primaries | None, members: Members | None
    ) -> None:
        self._cluster = cluster
        self._primaries = primaries
        self._members = members

    async def leading(self) -> tuple[str, ...]:
        """Who claims to lead now; nobody, when the system cannot say so in time."""
        return await known_primaries(self._primaries)

    async def nodes(
        self, request: Request, fault: str, ledger: Ledger, avoided: Ledger | None = None
    ) -> Aim:
        """
        Choose among the nodes that run and are not struck, within the budget, and enter them.

        Args:
            avoided: Another ledger, whose nodes are not chosen either.

        Raises:
            ValueError: When the request names a node that there is not.
        """
        spec = TargetSpec(request.spec) if request.targets is None else request.targets
        asks_who_leads = spec in (TargetSpec.LEADER, TargetSpec.FOLLOWERS)
        leading = await self.leading() if asks_who_leads else ()
        asks_who_votes = spec in (TargetSpec.VOTERS, TargetSpec.STAND_BYS)
        roles = await self._roles() if asks_who_votes else None
        nodes, states = self._cluster.nodes, self._cluster.status
        idle = [n for n in nodes if (await states(n)).state is not NodeState.RUNNING]
        # Nothing is awaited from here on, so no other fault can come in between.
        choice = choose(
            spec,
            nodes,
            primaries=leading,
            excluded={*idle, *ledger.reasons, *(avoided.reasons if avoided else ())},
            rng=request.rng,
            limit=request.count,
            roles=roles,
        )
        targets = choice.targets
        if len(targets) > ledger.room:
            drawn = request.rng.sample(targets, ledger.room)
            targets = tuple(node for node in targets if node in drawn)
        notes = _notes(choice, targets, ledger)
        ledger.take(fault, targets)
        return Aim(targets, notes)

    async def links(self, request: Request) -> LinkChoice:
        """
        Choose the links that a request means; any node may be at their ends.

        Raises:
            ValueError: When the request names a node that there is not.
        """
        leading = await self.leading() if request.spec == TargetSpec.LEADER else ()
        return choose_links(request, self._cluster.nodes, leading=leading)

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
        log.warning("%s is unknown: %s", what, str(error) or type(error).__name__)
        return otherwise


def _notes(choice: Choice, targets: tuple[str, ...], ledger: Ledger) -> dict[str, str]:
    """Why fewer or other nodes were taken; asked before they are entered."""
    notes = {}
    if choice.fallback and targets:
        notes["fallback"] = choice.fallback
    wanted, budget = len(choice.targets), f"the budget is {ledger.budget} down at a time"
    if not choice.targets:
        struck = ", or all are struck already" if ledger.reasons else ""
        notes["skipped"] = f"no node that is meant is running{struck}"
    elif not targets:
        notes["skipped"] = f"{budget}, and {len(ledger.reasons)} are"
    elif len(targets) < wanted:
        notes["trimmed"] = f"{len(targets)} of {wanted}: {budget}"
    return notes
