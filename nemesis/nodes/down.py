"""
Which nodes are down by our hand, and never more of them than the budget.

Faults that take nodes down share one ledger. A node is entered before it is touched and taken out
when it is seen to be back, so whatever fails in between, healing knows of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dissever.harness.cluster import Cluster, NodeState
from dissever.harness.missing import Missing
from dissever.harness.system import Members, Primaries
from dissever.nemesis.requests import Request
from dissever.nemesis.targets import Choice, TargetSpec, choose, minority_size

__all__ = ["Aim", "Down", "aim", "known_primaries", "sight"]

log = logging.getLogger(__name__)

PRIMARIES_LIMIT_S = 2.0


class Down:
    """The ledger of one cluster: node -> the fault that holds it down."""

    def __init__(self, nodes: Sequence[str], budget: int | None = None) -> None:
        """`budget`: at most so many nodes are down at a time; None: a minority."""
        self.budget = minority_size(len(nodes)) if budget is None else budget
        self._nodes = tuple(nodes)
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Node -> the fault that holds it down."""
        return dict(self._reasons)

    @property
    def room(self) -> int:
        """How many more nodes may go down now."""
        return max(0, self.budget - len(self._reasons))

    def probe(self) -> Missing | None:
        """Why nothing can be taken down at all, or None."""
        if self.budget > 0:
            return None
        reason = f"none of {len(self._nodes)} nodes may be down at a time"
        return Missing(reason, "run with at least 3 nodes, or with a greater budget")

    def of(self, fault: str) -> tuple[str, ...]:
        """The nodes that a fault holds down, in order."""
        return tuple(node for node in self._nodes if self._reasons.get(node) == fault)

    def take(self, fault: str, nodes: Iterable[str]) -> None:
        """Enter nodes that are up and for which there is room."""
        taken = tuple(nodes)
        assert len(taken) <= self.room
        assert not any(node in self._reasons for node in taken)
        self._reasons.update(dict.fromkeys(taken, fault))

    def give_back(self, node: str) -> None:
        """The node is up again."""
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


@dataclass(frozen=True, slots=True)
class Aim:
    """
    The nodes to strike, already entered in the ledger.

    `notes` says, for the history, where the request was not followed to the letter.
    """

    targets: tuple[str, ...]
    notes: Mapping[str, str]


async def aim(
    request: Request,
    *,
    fault: str,
    cluster: Cluster,
    primaries: Primaries | None,
    down: Down,
    members: Members | None = None,
) -> Aim:
    """
    Choose whom to strike among the nodes that run, within the budget, and enter them.

    Raises:
        ValueError: When the request names no spec and no node that there is.
    """
    choice = await sight(
        request,
        cluster=cluster,
        primaries=primaries,
        members=members,
        excluded=lambda: down.reasons,
    )
    targets = choice.targets
    if len(targets) > down.room:
        drawn = request.rng.sample(targets, down.room)
        targets = tuple(node for node in targets if node in drawn)
    notes = _notes(choice, targets, down)
    down.take(fault, targets)
    return Aim(targets, notes)


async def sight(
    request: Request,
    *,
    cluster: Cluster,
    primaries: Primaries | None,
    members: Members | None,
    excluded: Callable[[], Collection[str]],
) -> Choice:
    """
    Choose whom to strike among the nodes that run; for faults that take no node down.

    Args:
        excluded: Asked last: nothing is awaited between its answer and the choice.

    Raises:
        ValueError: When the request names no spec and no node that there is.
    """
    spec = TargetSpec(request.spec) if request.targets is None else request.targets
    asks_who_leads = spec in (TargetSpec.LEADER, TargetSpec.FOLLOWERS)
    leading = await known_primaries(primaries) if asks_who_leads else ()
    asks_for_roles = spec in (TargetSpec.VOTERS, TargetSpec.STAND_BYS)
    roles = await known_roles(members) if asks_for_roles else None
    idle = [n for n in cluster.nodes if (await cluster.status(n)).state is not NodeState.RUNNING]
    return choose(
        spec,
        cluster.nodes,
        primaries=leading,
        excluded={*idle, *excluded()},
        rng=request.rng,
        limit=request.count,
        roles=roles,
    )


async def known_primaries(primaries: Primaries | None) -> tuple[str, ...]:
    """Who claims to lead now; nobody, when the system cannot say so in time."""
    if primaries is None:
        return ()
    try:
        async with asyncio.timeout(PRIMARIES_LIMIT_S):
            return await primaries.primaries()
    except (OSError, TimeoutError) as error:
        log.warning("who leads is unknown: %s", str(error) or type(error).__name__)
        return ()


async def known_roles(members: Members | None) -> Mapping[str, str] | None:
    """Node -> its role; None when nobody can say so in time."""
    if members is None:
        return None
    try:
        async with asyncio.timeout(PRIMARIES_LIMIT_S):
            return await members.roles()
    except (OSError, TimeoutError) as error:
        log.warning("who votes is unknown: %s", str(error) or type(error).__name__)
        return None


def _notes(choice: Choice, targets: tuple[str, ...], down: Down) -> dict[str, str]:
    """Why fewer or other nodes were taken; asked before they are entered."""
    notes = {}
    if choice.fallback and targets:
        notes["fallback"] = choice.fallback
    wanted, budget = len(choice.targets), f"the budget is {down.budget} down at a time"
    if not choice.targets:
        notes["skipped"] = "no node that is meant is running"
    elif not targets:
        notes["skipped"] = f"{budget}, and {len(down.reasons)} are"
    elif len(targets) < wanted:
        notes["trimmed"] = f"{len(targets)} of {wanted}: {budget}"
    return notes
