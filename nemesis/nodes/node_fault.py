"""
Faults that strike nodes one by one: each does something to one node, the rest is the same for all.

Nodes are chosen within the budget and entered in a ledger before they are touched, and taken out
once they are seen to be back, so whatever fails in between, healing knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dissever.harness.cluster import NodeState
from dissever.harness.values import listed
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault
from dissever.nemesis.nodes.processes import NodeEvidence, as_json, revive
from dissever.nemesis.parameters import Request, Settings
from dissever.nemesis.targets import TargetSpec

__all__ = ["NodeFault", "PerNode", "evidence_of"]


class NodeFault(Protocol):
    """What a fault does to one node."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        """Inject, and look whether it took hold."""
        ...

    async def look_again(self, node: str) -> NodeEvidence | None:
        """
        Look whether it is still in force, just before it heals.

        None when nobody can say, or when it leaves nothing that could end by itself.
        """
        ...

    async def undo(self, node: str) -> NodeEvidence:
        """Heal, and look whether it did."""
        ...

    async def release(self, node: str) -> None:
        """Heal in a teardown: look at nothing, wait for nobody."""
        ...


class PerNode:
    """Implements `Injector`: strikes nodes, and heals those that it struck."""

    def __init__(
        self,
        fault: Fault,
        site: Environment,
        node_fault: NodeFault,
        notes: Mapping[str, Any] | None = None,
        *,
        is_alone: bool = False,
        revives: bool = False,
    ) -> None:
        """
        Make the injector.

        Args:
            notes: What the history says of every injection.
            is_alone: Nodes that another fault holds down are not struck either.
            revives: Healing starts nodes that ended by themselves, also those that it did not
                strike: what a peer did may have ended them.
        """
        self._name = fault.name
        self._node_fault = node_fault
        self._aiming = site.aiming
        self._ledger = site.down if fault.takes_down else site.ledger(fault.group or fault.name)
        self._notes = notes or {}
        self._avoided = site.down if is_alone else None
        self._leader_was_asked = False
        self._cluster, self._down, self._revives = site.cluster, site.down, revives

    async def inject(self, request: Request) -> FaultEvidence:
        aim = await self._aiming.nodes(request, self._name, self._ledger, avoided=self._avoided)
        strikes = (self._node_fault.strike(node, request.settings) for node in aim.targets)
        with self._aiming.changing(aim.targets):
            seen = await asyncio.gather(*strikes)
        left_out = {each.node: each.skipped for each in seen if each.skipped}
        for node in left_out:
            self._ledger.give_back(node)
        if seen and len(left_out) == len(seen):
            return FaultEvidence((), None, {"nodes": as_json(seen)}, {"skipped": seen[0].skipped})
        seen = [each for each in seen if not each.skipped]
        notes = {**aim.notes, **self._notes, **({"left_out": left_out} if left_out else {})}
        struck = evidence_of(seen, notes)
        self._leader_was_asked = bool(aim.facts) and request.spec == TargetSpec.LEADER
        return replace(struck, facts={**struck.facts, **aim.facts})

    async def look_again(self) -> FaultEvidence | None:
        nodes = self._ledger.of(self._name)
        with self._aiming.changing(nodes):
            looks = await asyncio.gather(*(self._node_fault.look_again(node) for node in nodes))
        seen = [each for each in looks if each is not None]
        if not seen:
            return None
        lapsed = listed(f"{each.node} ({each.status.state})" for each in seen if not each.is_so)
        facts: dict[str, Any] = {"nodes": as_json(seen), "idle": all(e.is_idle for e in seen)}
        if self._leader_was_asked:
            down = (NodeState.GONE, NodeState.PAUSED)
            lie = await self._aiming.lies(e.node for e in seen if e.status.state in down)
            facts |= {"as_asked": False, "said": lie} if lie else {}
        error = f"it was no longer in force on {lapsed}" if lapsed else ""
        return FaultEvidence(tuple(each.node for each in seen), not lapsed, facts, error=error)

    async def heal(self) -> FaultEvidence:
        nodes = self._ledger.of(self._name)
        with self._aiming.changing(nodes):
            ends = await asyncio.gather(
                *(self._node_fault.undo(node) for node in nodes), return_exceptions=True
            )
        seen = [end for end in ends if isinstance(end, NodeEvidence)]
        for each in seen:
            if each.is_so if each.is_back is None else each.is_back:
                self._ledger.give_back(each.node)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        if self._revives:
            seen += await self._revived([each.node for each in seen])
        return evidence_of(seen, is_healing=True)

    async def _revived(self, healed: Sequence[str]) -> list[NodeEvidence]:
        others = []
        for node in self._cluster.nodes:
            if node not in healed and (facts := await revive(self._cluster, self._down, node)):
                others.append(NodeEvidence(node, True, await self._cluster.status(node), facts))
        return others

    async def release(self) -> None:
        await self._ledger.bring_back(self._name, self._node_fault.release)


def evidence_of(
    seen: Sequence[NodeEvidence],
    notes: Mapping[str, Any] | None = None,
    *,
    is_healing: bool = False,
) -> FaultEvidence:
    """
    What was seen of all nodes together; where nothing was to be healed, all is healed.

    `refused` is among the facts if the system's refusal is the only reason why nodes did not heal.
    """
    is_so = all(each.is_so for each in seen) if seen or is_healing else None
    notes = notes or {}
    targets = tuple(each.node for each in seen)
    facts: dict[str, Any] = {"nodes": as_json(seen)}
    error = notes.get("skipped", "")
    missed = [each for each in seen if not each.is_so]
    if missed and all(each.refused for each in missed):
        facts["refused"] = {each.node: each.refused for each in missed}
        of_nodes = "; ".join(f"of {each.node}: {each.refused}" for each in missed)
        error = f"the system did not take the change back {of_nodes}"
    return FaultEvidence(targets, is_so, facts, notes, error)
