"""
A fault that strikes nodes and is undone on each: whom, how many, and what the history keeps.

What a fault does to one node is a `Hand`; the rest is the same for all: nodes are drawn within the
budget and entered in the ledger before they are touched, and taken out once they are seen to be
back, so whatever fails in between, healing knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.system import Members, Primaries
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down, aim
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["Hand", "NodeFault"]


class Hand(Protocol):
    """
    What a fault does to one node.

    `extra` names what the injection may be told beside its targets.
    """

    extra: tuple[str, ...]

    def probe(self) -> Missing | None:
        """Why it cannot be done on this cluster, or None."""
        ...

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        """Inject, and look whether it took hold."""
        ...

    async def undo(self, node: str) -> Seen:
        """Heal, and look whether it did."""
        ...

    def is_back(self, seen: Seen) -> bool:
        """Whether the node is out of our hands after an undo, healed or not."""
        ...

    async def release(self, node: str) -> None:
        """Heal in a teardown: look at nothing, wait for nobody."""
        ...


class NodeFault:
    """Implements `Nemesis`: `steps` are the names of the injection and of the healing."""

    def __init__(
        self,
        name: str,
        steps: tuple[str, str],
        hand: Hand,
        cluster: Cluster,
        down: Down,
        *,
        primaries: Primaries | None,
        seed: int,
        members: Members | None = None,
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._name = name
        self._steps = steps
        self._hand = hand
        self._cluster = cluster
        self._down = down
        self._primaries = primaries
        self._seed = seed
        self._members = members
        self._count = 0

    def probe(self) -> Missing | None:
        """The budget must allow one node at least."""
        return self._down.probe() or self._hand.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Strike or undo.

        Raises:
            ValueError: For another `f`, or a spec that there is not.
        """
        if invocation.f == self._steps[0]:
            return await self._strike(invocation)
        if invocation.f == self._steps[1]:
            return await self._undo(invocation)
        raise ValueError(f"expected {' or '.join(self._steps)}, got {invocation.f!r}")

    async def heal(self) -> None:
        """Undo it on every node that it struck."""
        await self._down.bring_back(self._name, self._hand.release)

    async def _strike(self, invocation: Invocation) -> Completion:
        self._count += 1
        request = read_request(
            invocation.value,
            spec=TargetSpec.ONE,
            stream=f"{self._seed}/{self._name}/{self._count}",
            extra=self._hand.extra,
        )
        aimed = await aim(
            request,
            fault=self._name,
            cluster=self._cluster,
            primaries=self._primaries,
            down=self._down,
            members=self._members,
        )
        try:
            seen = await asyncio.gather(
                *(self._hand.strike(node, request.told) for node in aimed.targets)
            )
        except ValueError:  # Told what makes no sense, it has struck nobody.
            for node in aimed.targets:
                self._down.give_back(node)
            raise
        return processes.struck(invocation, request.spec, {**aimed.notes, **request.told}, seen)

    async def _undo(self, invocation: Invocation) -> Completion:
        nodes = self._down.of(self._name)
        seen = await asyncio.gather(*(self._hand.undo(node) for node in nodes))
        for each in seen:
            if self._hand.is_back(each):
                self._down.give_back(each.node)
        return processes.healed(invocation, seen)
