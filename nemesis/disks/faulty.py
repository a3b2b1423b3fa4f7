"""
Disks that fail without being full: slow, with errors, torn writes, flipped bits.

Each node's data goes through faultfs, which fails calls by rules that come and go. Evidence: the
rule's own count of the calls that it hit, after a write of ours through the same disk; healed once
the rule is gone and such a write goes through.

A flipped bit is one that a read gets wrong, the same one every time; what is stored stays right, so
it heals. Since a system may read its files only when it starts, flips come with a restart.

Source: charybdefs and LazyFS for the vocabulary.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.nemesis import host_scripts
from dissever.nemesis.disks.draws import DISK_DRAWS
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.nodes.revive import revive, revive_others
from dissever.nemesis.sights import Insight, Sights

__all__ = ["FaultyDisk", "ask", "missing_faultfs"]

log = logging.getLogger(__name__)

PAGES = 1
"""Few: each may have to wait."""

TRIES = 200
"""Of a probe that waits for an error: one with a probability of 5 % is missed once in 28,000."""

HIT_LIMIT_S = 3.0
"""A rule has so long to hit something, with our own calls among it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """
    The words of a fault's rule, from the settings of an injection; how it shows.

    `is_damage`: what the node finds on its disk is not what it wrote, so it may refuse to start.
    """

    words: Callable[[Mapping[str, Any]], tuple[str, ...]]
    tries: int = 1
    is_damage: bool = False
    restarts: bool = False
    script: str = host_scripts.PROBE_WRITE


def _drawn(settings: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(f"{name}={settings[name]}" for name in names)


_CHANCE = ("probability", "rule_seed")

_KINDS = {
    "disk-slow": _Kind(lambda at: ("do=slow", "op=write,fsync,allocate", *_drawn(at, "ms"))),
    "disk-error": _Kind(lambda at: ("do=fail", *_drawn(at, "op", "errno", *_CHANCE)), TRIES),
    "disk-torn": _Kind(lambda at: ("do=tear", "op=write", *_drawn(at, "errno", *_CHANCE)), TRIES),
    "disk-flip": _Kind(
        lambda at: ("do=flip", "op=read", *_drawn(at, *_CHANCE)),
        is_damage=True,
        restarts=True,
        script=host_scripts.READ_ALL,
    ),
}


class FaultyDisk:
    """`start-…` adds a rule to the disks of nodes, `stop-…` takes it away."""

    def __init__(self, cluster: Cluster, down: Down, *, name: str, insight: Insight) -> None:
        self._cluster = cluster
        self._down = down
        self._name = name
        self._kind = _KINDS[name]
        settings = DISK_DRAWS[name](Random(f"{insight.seed}/{name}"))
        self._sights = Sights(cluster, fault=name, insight=insight, settings=settings)
        self._struck: set[str] = set()

    def probe(self) -> Missing | None:
        """The nodes' data must go through faultfs."""
        return missing_faultfs(self._cluster)

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Break or mend.

        Raises:
            ValueError: For another `f`, or a value that means nothing.
        """
        if invocation.f == f"start-{self._name}":
            sight = await self._sights.take(invocation, self._struck)
            self._struck.update(sight.targets)
            seen = await asyncio.gather(*(self._break(n, sight.settings) for n in sight.targets))
            damage = {"damages_disk": True} if self._kind.is_damage else {}
            notes = {**sight.notes, **sight.settings, **damage}
            return processes.struck(invocation, sight.spec, notes, seen)
        if invocation.f == f"stop-{self._name}":
            nodes = [node for node in self._cluster.nodes if node in self._struck]
            seen = await asyncio.gather(*(self._mend(node) for node in nodes))
            others = await revive_others(self._cluster, self._down, nodes)
            return processes.healed(invocation, [*seen, *others])
        raise ValueError(f"expected start- or stop-{self._name}, got {invocation.f!r}")

    async def heal(self) -> None:
        """Take the rule away everywhere."""
        await asyncio.gather(*(self._clear(node) for node in tuple(self._struck)))

    async def _break(self, node: str, settings: Mapping[str, Any]) -> Seen:
        words = [word.replace("rule_seed=", "seed=") for word in self._kind.words(settings)]
        await ask(self._cluster, node, "rule", self._name, *words)
        if self._kind.restarts and node not in self._down.reasons:
            await self._cluster.kill(node)
            await self._cluster.start(node)
        loop = asyncio.get_running_loop()
        end = loop.time() + HIT_LIMIT_S
        while True:
            probed = await self._probe(node, self._kind.tries)
            rule = await self._rule(node)
            if rule["hits"] or loop.time() > end:
                break
        facts = {"probe": probed, "rule": rule}
        return Seen(node, rule["hits"] > 0, await self._cluster.status(node), facts)

    async def _mend(self, node: str) -> Seen:
        rule = await self._rule(node)
        await self._clear(node)
        counts = await ask(self._cluster, node, "counts")
        probed = await self._probe(node)
        is_so = self._name not in counts["rules"] and probed["error"] is None
        facts = {"probe": probed, "rule": rule, **await revive(self._cluster, self._down, node)}
        return Seen(node, is_so, await self._cluster.status(node), facts)

    async def _clear(self, node: str) -> None:
        await ask(self._cluster, node, "clear", self._name)
        self._struck.discard(node)

    async def _rule(self, node: str) -> dict[str, int]:
        """What the rule has seen and hit; nothing once it is gone."""
        rules = (await ask(self._cluster, node, "counts"))["rules"]
        found: dict[str, int] = rules.get(self._name, {"seen": 0, "hits": 0, "bytes": 0})
        return found

    async def _probe(self, node: str, tries: int = 1) -> dict[str, Any]:
        arguments = (self._cluster.disk(node).path, PAGES, tries)
        return await host_scripts.run(self._cluster, node, self._kind.script, *arguments)


def missing_faultfs(cluster: Cluster) -> Missing | None:
    """Why the disks of a cluster do not fail as they are told, or None."""
    if all(cluster.disk(node).ask for node in cluster.nodes):
        return None
    return Missing("the nodes' data does not go through faultfs", "name it among the run's faults")


async def ask(cluster: Cluster, node: str, *words: str) -> dict[str, Any]:
    """
    Ask a node's faultfs; requests and answers are in native/faultfs/faultfs.c.

    Raises:
        OSError: When it does not answer, or refuses.
    """
    done = await cluster.command(node, [*cluster.disk(node).ask, *words])
    if done.exit_status:
        raise OSError(0, f"{node}: {done.stderr.strip()}")
    answer: dict[str, Any] = msgspec.json.decode(done.stdout)
    return answer
