"""
Faults of simulated disks, which are told by rules what to do wrong, and whose power can fail.

Evidence: the disk lists the rule, and counts the calls of the node that it hit; where it hit none,
nothing met the fault. Healed, the disk does not list the rule any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dissever.harness.cluster import (
    DiskCall,
    DiskErrorKind,
    DiskFaults,
    DiskRule,
    NodeProcesses,
    NodeState,
)
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Heals, Simulated
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence, revive
from dissever.nemesis.nodes.signals import Kill
from dissever.nemesis.parameters import (
    BITS,
    SEED_MAX,
    Draw,
    Parameter,
    Settings,
    choice,
    number,
    one_of,
)

__all__ = [
    "CHANCE",
    "ERROR",
    "FAULTS",
    "FULL",
    "POWERLESS",
    "RULE_SEED",
    "SLOW",
    "TORN",
    "probability",
]

CALL: Final = choice(
    "call",
    "the calls that are meant: appends to the log, the metadata (term and vote), snapshots, or any",
    tuple(call.value for call in DiskCall),
    one_of("any", "any", "any", "append", "append", "metadata", "snapshot"),
    default=DiskCall.ANY.value,
)


def probability(drawn: Draw) -> Parameter:
    """The chance of a call to be hit."""
    return number("probability", "chance of a call to be hit", 0.000001, 1.0, drawn)


CHANCE: Final = probability(one_of(0.05, 0.3, 1.0))
RULE_SEED: Final = number("rule_seed", "settles which calls are hit", 0, SEED_MAX, BITS)


class RuledDisk:
    """A `NodeFault`: a rule, by the name of the fault, on the simulated disk of a node."""

    def __init__(
        self, fault: Fault, site: Environment, rule: Callable[[Settings], DiskRule]
    ) -> None:
        self._name = fault.name
        self._cluster: AbleCluster = site.cluster
        self._down = site.down
        self._rule = rule

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        await self._cluster.set_disk_rule(node, self._name, self._rule(settings))
        if settings.get("restart") and node not in self._down.reasons:
            await self._cluster.kill(node)
            await self._cluster.start(node)
        return await self._seen(node)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await self._seen(node)

    async def undo(self, node: str) -> NodeEvidence:
        hits = (await self._cluster.disk_hits(node)).get(self._name)
        await self.release(node)
        left = await self._cluster.disk_hits(node)
        facts = {"hits": hits, **await revive(self._cluster, self._down, node)}
        status = await self._cluster.status(node)
        return NodeEvidence(node, self._name not in left, status, facts, is_back=True)

    async def release(self, node: str) -> None:
        await self._cluster.set_disk_rule(node, self._name, None)

    async def _seen(self, node: str) -> NodeEvidence:
        """Whether the disk lists the rule; idle while it has hit nothing."""
        hits = (await self._cluster.disk_hits(node)).get(self._name)
        status = await self._cluster.status(node)
        return NodeEvidence(node, hits is not None, status, {"hits": hits}, is_idle=not hits)


class PowerFailure(Kill):
    """A `NodeFault`: a kill that also loses what the node had written and not synced."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        before, began = await self._cluster.status(node), processes.now()
        self._before[node] = before
        lost = await self._cluster.fail_power(node)
        status = await self._cluster.status(node)
        is_so = status.state is NodeState.GONE and before.pid is not None
        facts = {"pid": before.pid, "disk": dict(lost), "took_ms": processes.since_ms(began)}
        return NodeEvidence(node, is_so, status, facts)


def ruled(
    rule: Callable[[Settings], DiskRule], parameters: tuple[Parameter, ...] | None = None
) -> Simulated:
    """
    How a fault of disks strikes simulated hosts.

    Args:
        rule: From the settings; the fault's name is that of the rule.
        parameters: None: those on real hosts.
    """

    def make(fault: Fault, site: Environment) -> PerNode:
        return PerNode(fault, site, RuledDisk(fault, site, rule), revives=True)

    return Simulated(
        needs=(NodeProcesses, DiskFaults),
        make=make,
        held="the disk lists the rule; idle when no call of the node met it",
        healed="the disk does not list the rule",
        parameters=parameters,
        check=dict,
    )


def failing(
    kind: DiskErrorKind, parameters: tuple[Parameter, ...], call: DiskCall = DiskCall.ANY
) -> Simulated:
    """Calls that fail by chance; without a parameter that says which, the calls of that kind."""

    def rule(settings: Settings) -> DiskRule:
        return DiskRule(
            kind,
            DiskCall(settings.get(CALL.name, call)),
            probability=settings[CHANCE.name],
            seed=settings[RULE_SEED.name],
        )

    return ruled(rule, parameters)


POWERLESS: Final = Simulated(
    needs=(NodeProcesses, DiskFaults),
    make=lambda fault, site: PerNode(fault, site, PowerFailure(site.cluster)),
    held="the process is gone; the disk says how many writes it lost",
    healed="another process runs, with a new pid",
    parameters=(),
)
SLOW: Final = ruled(lambda settings: DiskRule(DiskErrorKind.SLOW, ms=settings["ms"]))
FULL: Final = ruled(lambda _: DiskRule(DiskErrorKind.FULL))
ERROR: Final = failing(DiskErrorKind.ERROR, (CALL, CHANCE, RULE_SEED))
TORN: Final = failing(DiskErrorKind.TORN, (CHANCE, RULE_SEED), DiskCall.APPEND)
_SNAPSHOTS: Final = failing(DiskErrorKind.ERROR, (CHANCE, RULE_SEED), DiskCall.SNAPSHOT)

SNAPSHOT_ERROR: Final = Fault(
    name="snapshot-error",
    description="let snapshots of nodes fail that they take or install, or some of them",
    parameters=(CHANCE, RULE_SEED),
    heals=Heals.DISKS,
    group="disks",
    needs=_SNAPSHOTS.needs,
    make=_SNAPSHOTS.make,
    held=_SNAPSHOTS.held,
    healed=_SNAPSHOTS.healed,
)

FAULTS: Final = (SNAPSHOT_ERROR,)
