"""
Stop nodes and start them with another version of the system, one at a time: a rolling upgrade.

Each node is asked to end, started with the newer build on the data that it has, and waited for
before the next one goes; whoever leads goes last, as operators do. In between, two versions make
one cluster. Nothing is ever downgraded: what a node wrote in a newer version need not make sense to
an older one.

Evidence: another process runs, it answers, and the library that the kernel has mapped into it is
not the file that was there before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, NodeState
from dissever.harness.missing import Missing
from dissever.harness.system import Builds, Primaries
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down, known_primaries
from dissever.nemesis.nodes.processes import Answers, Seen
from dissever.nemesis.requests import Request, read_request

__all__ = ["Upgrade"]

log = logging.getLogger(__name__)

NAME = "upgrade"

GRACE_S = 10.0
"""How long a node may take to end."""

GAP_S = 0.5
"""Between one node and the next, when an invocation brings no other."""

ROOM_LIMIT_S = 15.0
"""How long to wait until other faults let one more node go down."""

GLANCE_S = 0.05


class Upgrade:
    """`start-upgrade` upgrades, `stop-upgrade` looks whether every node that it touched serves."""

    def __init__(
        self,
        cluster: Cluster,
        down: Down,
        builds: Builds | None,
        *,
        primaries: Primaries | None,
        answers: Answers | None,
        seed: int,
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._down = down
        self._builds = builds
        self._primaries = primaries
        self._answers = answers
        self._seed = seed
        self._count = 0
        self._touched: list[str] = []

    def probe(self) -> Missing | None:
        """There must be something to upgrade to."""
        if self._builds is None or self._builds.newer is None:
            return Missing(
                "it was not said which version nodes are upgraded to", "--set upgrade-to=VERSION"
            )
        return self._down.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Upgrade, or look.

        Raises:
            ValueError: For another `f`, or a spec or node that there is not.
        """
        match invocation.f:
            case "start-upgrade":
                return await self._start(invocation)
            case "stop-upgrade":
                touched, self._touched = self._touched, []
                seen = [await self._look(node) for node in touched]
                return processes.healed(invocation, seen)
        raise ValueError(f"expected start-upgrade or stop-upgrade, got {invocation.f!r}")

    async def heal(self) -> None:
        """Start what stands still between two versions."""
        await self._down.bring_back(NAME, self._cluster.start)

    @property
    def _known(self) -> Builds:
        assert self._builds is not None, "probe said that there are none"
        return self._builds

    async def _start(self, invocation: Invocation) -> Completion:
        self._count += 1
        request = read_request(
            invocation.value,
            spec="rolling",
            stream=f"{self._seed}/{NAME}/{self._count}",
            extra=("gap_s",),
        )
        left = self._meant(request)
        notes: dict[str, Any] = {**request.told, "to": self._known.newer}
        seen: list[Seen] = []
        if not left:
            notes["note"] = "every node that is meant runs it already"
            seen = [await self._look(node) for node in self._cluster.nodes]
        while left:
            node = await self._next(left)
            if node is None:
                notes["trimmed"] = f"no room for {', '.join(left)} within {ROOM_LIMIT_S:g} s"
                break
            left.remove(node)
            seen.append(await self._upgrade(node))
            if left:
                await asyncio.sleep(float(request.told.get("gap_s", GAP_S)))
        return processes.struck(invocation, request.spec, notes, seen)

    def _meant(self, request: Request) -> list[str]:
        """The nodes that are to be upgraded now, in a random order."""
        nodes = self._cluster.nodes
        if unknown := sorted(set(request.targets or ()) - set(nodes)):
            raise ValueError(f"expected nodes of {', '.join(nodes)}, got {', '.join(unknown)}")
        if request.targets is None and request.spec not in ("one", "rolling"):
            raise ValueError(f"expected one or rolling, got {request.spec!r}")
        builds = self._known
        meant = [n for n in request.targets or nodes if builds.of(n) != builds.newer]
        request.rng.shuffle(meant)
        limit = 1 if request.spec == "one" else len(meant)
        return meant[: limit if request.count is None else min(limit, request.count)]

    async def _next(self, left: Sequence[str]) -> str | None:
        """The next one that runs, entered in the ledger; who leads comes last. None: no room."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROOM_LIMIT_S
        while loop.time() < end:
            leading = await known_primaries(self._primaries)
            for node in sorted(left, key=lambda node: node in leading):
                status = await self._cluster.status(node)
                # Nothing is awaited from here on, so no other fault can come in between.
                is_free = self._down.room and node not in self._down.reasons
                if is_free and status.state is NodeState.RUNNING:
                    self._down.take(NAME, [node])
                    return node
            await asyncio.sleep(GLANCE_S)
        return None

    async def _upgrade(self, node: str) -> Seen:
        self._touched.append(node)
        before = await self._cluster.status(node)
        old = await self._known.running(node)
        stopped = await processes.stop(self._cluster, node, GRACE_S)
        await self._known.upgrade(node)
        seen = await processes.start(self._cluster, node, before)
        answered = await processes.answers_again(self._answers, node)
        new = await self._known.running(node)
        self._down.give_back(node)
        is_other = bool(old and new) and old["sha256"] != new["sha256"]
        log.info("%s: upgraded: %s, from %s to %s", node, is_other, old, new)
        facts = {**seen.facts, "answers": answered, "library_before": old, "library": new}
        is_so = stopped.is_so and seen.is_so and answered and is_other
        return Seen(node, is_so, seen.status, facts)

    async def _look(self, node: str) -> Seen:
        """Whether a node runs the newer version; one that another fault holds down need not."""
        library = await self._known.running(node)
        status = await self._cluster.status(node)
        is_upgraded = self._known.of(node) == self._known.newer
        is_so = is_upgraded and (bool(library) or node in self._down.reasons)
        return Seen(node, is_so, status, {"library": library, "pid": status.pid})
