"""
Stop nodes and start them with another version of the system, one at a time: a rolling upgrade.

Each node is asked to end, started with the newer build on the data that it has, and waited for
before the next one goes; the leader goes last, as operators do it. In between, two versions make
one cluster. Nothing is ever downgraded: what a node wrote in a newer version need not make sense to
an older one.

Evidence: another process runs, it answers, and the library that the kernel has mapped into it is
not the file that was there before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from dissever.harness.cluster import HostCommands, NodeProcesses, NodeState
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Offer
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import evidence_of
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Request, number, uniform

__all__ = ["FAULTS"]

log = logging.getLogger(__name__)

GRACE_S = 10.0
"""How long a node may take to end."""

GAP_S = 0.5
"""Between one node and the next, when an invocation brings no other."""

ROOM_LIMIT_S = 15.0
"""How long to wait until other faults let one more node go down."""

GLANCE_S = 0.05


class Upgrade:
    """Implements `Injector`; healing looks whether every node that it touched serves."""

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._name = fault.name
        self._cluster = site.cluster
        self._down = site.down
        self._builds = site.builds
        self._aiming = site.aiming
        self._answers = site.answers
        self._touched: list[str] = []

    async def inject(self, request: Request) -> FaultEvidence:
        left = self._meant(request)
        notes: dict[str, Any] = {"to": self._builds.newer}
        seen: list[NodeEvidence] = []
        if not left:
            notes["note"] = "every node that is meant runs it already"
            seen = [await self._look(node) for node in self._cluster.nodes]
            self._touched.extend(each.node for each in seen)
        while left:
            node = await self._next(left)
            if node is None:
                notes["trimmed"] = f"no room for {', '.join(left)} within {ROOM_LIMIT_S:g} s"
                break
            left.remove(node)
            seen.append(await self._upgrade(node))
            if left:
                await asyncio.sleep(float(request.settings["gap_s"]))
        return evidence_of(seen, notes)

    async def look_again(self) -> FaultEvidence | None:
        """Nothing is in force that could end: `heal` looks at the versions."""
        return None

    async def heal(self) -> FaultEvidence:
        touched, self._touched = self._touched, []
        return evidence_of([await self._look(node) for node in touched], is_healing=True)

    async def release(self) -> None:
        """Start what stands still between two versions."""
        await self._down.bring_back(self._name, self._cluster.start)

    def _meant(self, request: Request) -> list[str]:
        """The nodes that are to be upgraded now, in a random order."""
        nodes = self._cluster.nodes
        if unknown := sorted(set(request.targets or ()) - set(nodes)):
            raise ValueError(f"expected nodes of {', '.join(nodes)}, got {', '.join(unknown)}")
        builds = self._builds
        meant = [n for n in request.targets or nodes if builds.of(n) != builds.newer]
        request.rng.shuffle(meant)
        limit = 1 if request.spec == "one" else len(meant)
        return meant[: limit if request.count is None else min(limit, request.count)]

    async def _next(self, left: Sequence[str]) -> str | None:
        """The next one that runs, entered in the ledger; who leads comes last. None: no room."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROOM_LIMIT_S
        while loop.time() < end:
            leading = await self._aiming.leading()
            for node in sorted(left, key=lambda node: node in leading):
                status = await self._cluster.status(node)
                # Nothing is awaited from here on, so no other fault can come in between.
                is_free = self._down.room and node not in self._down.reasons
                if is_free and status.state is NodeState.RUNNING:
                    self._down.take(self._name, [node])
                    return node
            await asyncio.sleep(GLANCE_S)
        return None

    async def _upgrade(self, node: str) -> NodeEvidence:
        self._touched.append(node)
        before = await self._cluster.status(node)
        old = await self._builds.running(node)
        stopped = await processes.end(self._cluster, node, GRACE_S)
        await self._builds.upgrade(node)
        seen = await processes.start(self._cluster, node, before)
        answered = await processes.answers_again(self._answers, node)
        new = await self._builds.running(node)
        self._down.give_back(node)
        is_other = bool(old and new) and old["sha256"] != new["sha256"]
        log.info("%s: upgraded: %s, from %s to %s", node, is_other, old, new)
        facts = {**seen.facts, "answers": answered, "library_before": old, "library": new}
        is_so = stopped.is_so and seen.is_so and answered and is_other
        return NodeEvidence(node, is_so, seen.status, facts)

    async def _look(self, node: str) -> NodeEvidence:
        """Whether a node runs the newer version; one that another fault holds down need not."""
        library = await self._builds.running(node)
        status = await self._cluster.status(node)
        is_upgraded = self._builds.of(node) == self._builds.newer
        is_so = is_upgraded and (bool(library) or node in self._down.reasons)
        return NodeEvidence(node, is_so, status, {"library": library, "pid": status.pid})


UPGRADE = Fault(
    name="upgrade",
    description="stop nodes one by one, and start them with another version",
    targets={"one": 1, "rolling": 1},
    default_target="rolling",
    parameters=(
        number(
            "gap_s",
            "pause between one node and the next",
            0.0,
            600.0,
            uniform(0.2, 2.0, 2),
            default=GAP_S,
        ),
    ),
    heals=Heals.START,  # It takes no node down for long: it waits until there is room for one.
    needs=(NodeProcesses, HostCommands, Offer.ROOM, Offer.BUILDS),
    make=Upgrade,
    held="another process with another library answers",
    healed="there is nothing to heal: every node that was upgraded runs the newer version",
)

FAULTS: Final = (UPGRADE,)
