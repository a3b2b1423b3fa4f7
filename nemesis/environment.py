"""
Where faults strike: the cluster and the system of one run, and what its nemeses share.

They share what must not collide: the cuts of the network, the ledgers of nodes that are struck, and
the helpers on the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["CLIENTS", "CLIENT_CUT_NAME", "Environment"]

CLIENTS = "clients"
"""The group of the faults between clients and nodes."""

CLIENT_CUT_NAME = "client-cut"
"""Behind this fault nobody can say whether a node answers."""


class Environment:
    """The cluster and the system of one run, with what the nemeses of the cluster share."""

    def __init__(
        self,
        cluster: Any,
        primaries: Primaries | None,
        seed: int,
        *,
        answers: Answers | None = None,
        budget: int | None = None,
        watched: object | None = None,
        members: Members | None = None,
        builds: Builds | None = None,
        peer_ports: tuple[int, ...] = (),
        client_ports: tuple[int, ...] = (),
    ) -> None:
        """
        Make it; nothing happens to the cluster yet.

        Args:
            cluster: Has the abilities that the records of its faults name.
            primaries: None for a system without leaders.
            answers: None when nobody can say whether a node answers.
            budget: At most this many nodes are down at a time; None: a minority. It must be that of
                the plan.
            watched: The deployment that triggers are seen on; None when no fault waits for one.
            members: How members change; None where they cannot.
            builds: Which version nodes run.
            peer_ports: Where nodes listen for each other.
            client_ports: Where they listen for clients.
        """
        self.cluster: Any = cluster
        self.seed = seed
        self.asked = answers
        self.watched = watched
        # Where they are None, the record of a fault says that it needs them.
        self.members: Any = members
        self.builds: Any = builds
        self.client_ports = client_ports
        self.down = Ledger(cluster.nodes, budget)
        self.cuts = Cuts(cluster)
        self.proxies = Proxies(cluster, peer_ports)
        self.packets = Packets(cluster)
        self.bursts = Bursts(cluster)
        self.aiming = Aiming(cluster, primaries, members)
        self.offered: Mapping[Offer, bool] = {
            Offer.LEADERS: primaries is not None,
            Offer.MEMBERS: members is not None,
            Offer.BUILDS: builds is not None and builds.newer is not None,
            Offer.PEER_PORTS: bool(peer_ports),
            Offer.CLIENT_PORTS: bool(client_ports),
            Offer.ROOM: self.down.budget > 0,
            Offer.WALL_CLOCKS: True,  # A system that reads none says so before it runs.
        }
        self._ledgers: dict[str, Ledger] = {}

    @classmethod
    def of(cls, deployment: Deployment, *, seed: int, budget: int) -> Environment:
        """What a deployment offers, which is one or more of the abilities of `harness.system`."""
        ports = deployment if isinstance(deployment, Ports) else None
        return cls(
            deployment.cluster,
            deployment if isinstance(deployment, Primaries) else None,
            seed,
            answers=deployment.answers,
            budget=budget,
            watched=deployment,
            members=deployment.members if isinstance(deployment, Membership) else None,
            builds=deployment.builds if isinstance(deployment, Upgrades) else None,
            peer_ports=ports.peer_ports if ports else (),
            client_ports=ports.client_ports if ports else (),
        )

    @property
    def answers(self) -> Answers | None:
        """Whether a node answers; None for a node whose clients are cut off from it."""
        asked = self.asked
        if asked is None:
            return None
        clients = self.ledger(CLIENTS)

        async def answers(node: str) -> bool | None:
            return None if clients.reasons.get(node) == CLIENT_CUT_NAME else await asked(node)

        return answers

    def ledger(self, group: str) -> Ledger:
        """The ledger of faults that take no node down, but must not strike one twice."""
        nodes = self.cluster.nodes
        return self._ledgers.setdefault(group, Ledger(nodes, len(nodes)))
