"""
Where faults strike: the cluster and the system of one run, and what its nemeses share.

They share what must not collide: the cuts of the network, the ledgers of nodes that are struck, and
the helpers on the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dissever.harness.system import (
    Builds,
    Deployment,
    Members,
    Membership,
    Ports,
    Primaries,
    Upgrades,
)
from dissever.nemesis.aiming import Aiming, Ledger
from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.needs import Offer
from dissever.nemesis.nodes.processes import Answers
from dissever.nemesis.packets.bursts import Bursts
from dissever.nemesis.packets.rules import Packets
from dissever.nemesis.partitions.cuts import Cuts

__all__ = ["CLIENTS", "CLIENT_CUT_NAME", "Environment", "Site"]

CLIENTS = "clients"
"""The group of the faults between clients and nodes."""

CLIENT_CUT_NAME = "client-cut"
"""Behind this fault nobody can say whether a node answers."""


@dataclass(frozen=True, slots=True)
class Environment:
    """
    The cluster and the system of one run.

    `cluster` has the abilities that the records of its faults name. `primaries` is None for a
    system without leaders, `answers` when nobody can say whether a node answers. `budget`: at most
    this many nodes are down at a time; None: a minority. It must be that of the plan. `watched`:
    the deployment that triggers are seen on; None when no fault waits for one. `members`: how
    members change; None where they cannot. `builds`: which version nodes run. `peer_ports`,
    `client_ports`: where nodes listen for each other, and for clients.
    """

    cluster: Any
    primaries: Primaries | None
    seed: int
    answers: Answers | None = None
    budget: int | None = None
    watched: object | None = None
    members: Members | None = None
    builds: Builds | None = None
    peer_ports: tuple[int, ...] = ()
    client_ports: tuple[int, ...] = ()

    @classmethod
    def of(cls, deployment: Deployment, *, seed: int, budget: int) -> Environment:
        """What a deployment offers, which is one or more of the abilities of `harness.system`."""
        ports = deployment if isinstance(deployment, Ports) else None
        return cls(
            cluster=deployment.cluster,
            primaries=deployment if isinstance(deployment, Primaries) else None,
            seed=seed,
            answers=deployment.answers,
            budget=budget,
            watched=deployment,
            members=deployment.members if isinstance(deployment, Membership) else None,
            builds=deployment.builds if isinstance(deployment, Upgrades) else None,
            peer_ports=ports.peer_ports if ports else (),
            client_ports=ports.client_ports if ports else (),
        )


class Site:
    """An environment, with what the nemeses of its cluster share."""

    def __init__(self, environment: Environment) -> None:
        cluster = environment.cluster
        self.environment = environment
        self.cluster: Any = cluster
        self.seed = environment.seed
        self.down = Ledger(cluster.nodes, environment.budget)
        self.cuts = Cuts(cluster)
        self.proxies = Proxies(cluster, environment.peer_ports)
        self.packets = Packets(cluster)
        self.bursts = Bursts(cluster)
        self.aiming = Aiming(cluster, environment.primaries, environment.members)
        self._ledgers: dict[str, Ledger] = {}

    @property
    def members(self) -> Members:
        """Of a system that has them: the record of a fault says that it needs them."""
        assert self.environment.members is not None, "probe said that there are none"
        return self.environment.members

    @property
    def builds(self) -> Builds:
        """The same."""
        assert self.environment.builds is not None, "probe said that there are none"
        return self.environment.builds

    @property
    def answers(self) -> Answers | None:
        """Whether a node answers; None for a node whose clients are cut off from it."""
        asked = self.environment.answers
        if asked is None:
            return None
        clients = self.ledger(CLIENTS)

        async def answers(node: str) -> bool | None:
            return None if clients.reasons.get(node) == CLIENT_CUT_NAME else await asked(node)

        return answers

    @property
    def offered(self) -> Mapping[Offer, bool]:
        """What the system offers."""
        system = self.environment
        return {
            Offer.LEADERS: system.primaries is not None,
            Offer.MEMBERS: system.members is not None,
            Offer.BUILDS: system.builds is not None and system.builds.newer is not None,
            Offer.PEER_PORTS: bool(system.peer_ports),
            Offer.CLIENT_PORTS: bool(system.client_ports),
            Offer.ROOM: self.down.budget > 0,
        }

    def ledger(self, group: str) -> Ledger:
        """The ledger of faults that take no node down, but must not strike one twice."""
        nodes = self.cluster.nodes
        return self._ledgers.setdefault(group, Ledger(nodes, len(nodes)))
