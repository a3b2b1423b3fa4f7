"""The kinds of faults: what each needs of a backend, and the nemesis that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

import msgspec

from dissever.harness.client import Nemesis
from dissever.harness.cluster import PLAIN, Cluster, Hosts
from dissever.harness.missing import Missing
from dissever.harness.system import Builds, Members, Primaries
from dissever.nemesis.clients.cut import ClientCut, ClientReset
from dissever.nemesis.clocks.clock import ClockFault
from dissever.nemesis.clocks.turns import MONOTONIC
from dissever.nemesis.connections.kinds import TOXIC_KINDS
from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.connections.toxic import ToxicFault
from dissever.nemesis.disks.faulty import FaultyDisk
from dissever.nemesis.disks.full import DiskFull
from dissever.nemesis.disks.power_failure import PowerFailure
from dissever.nemesis.disks.truncate import DiskTruncate
from dissever.nemesis.faults import FAULTS, HEALING_ORDER, parse
from dissever.nemesis.needs import Backend, Need, missing
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.kill import CrashLoop, Kill, Stop
from dissever.nemesis.nodes.membership import Demote, Remove, Replace, Transfer
from dissever.nemesis.nodes.node_fault import Hand, NodeFault
from dissever.nemesis.nodes.pause import Pause
from dissever.nemesis.nodes.processes import Answers
from dissever.nemesis.nodes.resources import LimitCpu, LimitMemory
from dissever.nemesis.nodes.upgrade import Upgrade
from dissever.nemesis.packets.bursts import Bursts
from dissever.nemesis.packets.fault import PacketFault
from dissever.nemesis.packets.kinds import PACKET_KINDS, Means
from dissever.nemesis.packets.rules import Packets
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.deposed_leader import DeposedLeader
from dissever.nemesis.partitions.majority_only import MAJORITY_ONLY, MajorityOnly
from dissever.nemesis.partitions.partition import Partition
from dissever.nemesis.partitions.swizzle import Swizzle
from dissever.nemesis.plans.triggers import Triggered, Watched
from dissever.nemesis.probes import Probes
from dissever.nemesis.sights import Insight


@dataclass(frozen=True, slots=True)
class Environment:
    """
    Where faults strike.

    `primaries` is None for a system without leaders, `answers` when nobody can say whether a node
    answers. `budget`: at most so many nodes are down at a time; None: a minority. It must be that
    of the plan. `watched`: what triggers are seen by; None when no fault waits for an event.
    `members`: how members change; None where they cannot. `builds`: which version nodes run.
    `peer_ports`, `client_ports`: where nodes listen for each other, and for clients.
    """

    cluster: Cluster
    primaries: Primaries | None
    seed: int
    answers: Answers | None = None
    budget: int | None = None
    watched: Watched | None = None
    members: Members | None = None
    builds: Builds | None = None
    peer_ports: tuple[int, ...] = ()
    client_ports: tuple[int, ...] = ()

    @property
    def insight(self) -> Insight:
        """Who can say whom a target means."""
        return Insight(self.primaries, self.members, self.seed)


@dataclass(frozen=True, slots=True)
class Shared:
    """
    What the nemeses of one cluster share.

    `clients`: the nodes whose clients suffer, which are not down. `answers`: None when nobody can
    say, as for a node whose clients are cut off.
    """

    cuts: Cuts
    down: Down
    probes: Probes
    proxies: Proxies
    packets: Packets
    bursts: Bursts
    clients: Down
    answers: Answers | None
    clocks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of fault: a line for people, how its nemesis is made, and what it needs of a backend.

    `hosts`: what it needs nodes' hosts to be made with; a `disk_mb` of 0 is of whatever size the
    user says. `not_on`: backend -> why it makes no sense there.
    """

    description: str
    make: Callable[[Environment, Shared], Nemesis]
    needs: tuple[Need, ...] = ()
    hosts: Hosts = PLAIN
    not_on: Mapping[Backend, str] = field(default_factory=dict)

    def missing(self, backend: Backend) -> Missing | None:
        """Why it cannot strike on that backend of this machine, or None; tries it out."""
        if backend in self.not_on:
            return Missing(self.not_on[backend], "choose another backend")
        return next(filter(None, (missing(each, backend) for each in self.needs)), None)


def _toxic(name: str) -> Kind:
    return Kind(
        TOXIC_KINDS[name].description,
        lambda at, shared: ToxicFault(
            name, at.cluster, shared.proxies, primaries=at.primaries, seed=at.seed
        ),
        needs=(Need.KERNEL, Need.TOXIPROXY),
        hosts=Hosts(proxies=True),
    )


def _packet(name: str) -> Kind:
    need = {Means.NFT: Need.LOSS, Means.TBF: Need.TBF, Means.NETEM: Need.NETEM}
    kind = PACKET_KINDS[name]
    return Kind(
        kind.description,
        lambda at, shared: PacketFault(
            name,
            at.cluster,
            shared.packets,
            shared.bursts,
            shared.cuts,
            primaries=at.primaries,
            seed=at.seed,
        ),
        needs=(Need.KERNEL, need[kind.means]),
    )


def _client(
    name: str, hand: type[ClientCut | ClientReset], at: Environment, shared: Shared
) -> NodeFault:
    first, last = FAULTS[name].steps
    return NodeFault(
        name,
        (first, last),
        hand(at.cluster, at.client_ports, at.answers),
        at.cluster,
        shared.clients,
        primaries=at.primaries,
        seed=at.seed,
        members=at.members,
    )


def _past_cuts(answers: Answers | None, clients: Down) -> Answers | None:
    if answers is None:
        return None

    async def asked(node: str) -> bool | None:
        return None if clients.reasons.get(node) == "client-cut" else await answers(node)

    return asked


_NO_MEMBERS = {Backend.SIMULATED: "the simulated system has no members to change"}


def _node_fault(name: str, hand: Hand, at: Environment, shared: Shared) -> NodeFault:
    first, last = FAULTS[name].steps
    return NodeFault(
        name,
        (first, last),
        hand,
        at.cluster,
        shared.down,
        primaries=at.primaries,
        seed=at.seed,
        members=at.members,
    )


_CLOCKS = {
    "clock-jump": "set the wall clock of nodes wrong, then right",
    "clock-strobe": "set the wall clock of nodes wrong and right, many times a second",
    "clock-drift": "let the wall clock of nodes run too fast or too slow",
    "monotonic-jump": "let the monotonic clock of nodes jump forwards, and the wall clock",
    "monotonic-drift": "let the monotonic clock of nodes run too fast, and the wall clock",
}


_DISKS = {
    "disk-slow": "let each write of nodes to their disks wait",
    "disk-error": "let writes and syncs of nodes to their disks fail",
    "disk-torn": "let only a part of a write of nodes reach their disks",
    "disk-flip": "let nodes start anew and read wrong bits from their disks",
}


def _disk_kind(name: str, description: str) -> Kind:
    return Kind(
        description,
        lambda at, shared: FaultyDisk(at.cluster, shared.down, name=name, insight=at.insight),
        needs=(Need.KERNEL, Need.FAULTFS),
        hosts=Hosts(faulty_disks=True),
    )


def _clock_kind(name: str, description: str) -> Kind:
    return Kind(
        description,
        lambda at, shared: ClockFault(
            at.cluster, shared.clocks, shared.down, name=name, insight=at.insight
        ),
        needs=(Need.KERNEL, Need.CLOCKS),
        hosts=Hosts(own_clocks=True, own_monotonic=name in MONOTONIC),
    )


KINDS: Mapping[str, Kind] = {
    "partition": Kind(
        "cut the network between nodes",
        lambda at, shared: Partition(at.cluster, shared.cuts, primaries=at.primaries, seed=at.seed),
    ),
    "swizzle": Kind(
        "cut nodes off one by one, heal them in another order",
        lambda at, shared: Swizzle(at.cluster, shared.cuts, seed=at.seed),
    ),
    **{name: _toxic(name) for name in TOXIC_KINDS},
    **{name: _packet(name) for name in PACKET_KINDS},
    "client-cut": Kind(
        "cut clients off from nodes, which go on hearing each other",
        lambda at, shared: _client("client-cut", ClientCut, at, shared),
        needs=(Need.KERNEL,),
    ),
    "client-reset": Kind(
        "reset every connection of clients with nodes, over and over",
        lambda at, shared: _client("client-reset", ClientReset, at, shared),
        needs=(Need.KERNEL, Need.RESETS),
    ),
    "kill": Kind(
        "end nodes with SIGKILL, then start them again",
        lambda at, shared: _node_fault("kill", Kill(at.cluster), at, shared),
    ),
    "stop": Kind(
        "end nodes with SIGTERM, then start them again",
        lambda at, shared: _node_fault("stop", Stop(at.cluster), at, shared),
    ),
    "crash-loop": Kind(
        "kill and start nodes over and over",
        lambda at, shared: _node_fault("crash-loop", CrashLoop(at.cluster), at, shared),
    ),
    "upgrade": Kind(
        "stop nodes one by one, and start them with another version",
        lambda at, shared: Upgrade(
            at.cluster,
            shared.down,
            at.builds,
            primaries=at.primaries,
            answers=shared.answers,
            seed=at.seed,
        ),
        not_on={Backend.SIMULATED: "the simulated system has one version"},
    ),
    "remove-member": Kind(
        "take nodes out of the cluster, and take them in again, empty",
        lambda at, shared: _node_fault("remove-member", Remove(at.cluster, at.members), at, shared),
        not_on=_NO_MEMBERS,
    ),
    "replace-member": Kind(
        "lose nodes with their disks, and put empty ones in their place",
        lambda at, shared: _node_fault(
            "replace-member", Replace(at.cluster, at.members), at, shared
        ),
        not_on=_NO_MEMBERS,
    ),
    "demote": Kind(
        "take nodes' votes away, and give them back",
        lambda at, shared: _node_fault("demote", Demote(at.cluster, at.members), at, shared),
        not_on=_NO_MEMBERS,
    ),
    "transfer": Kind(
        "have the leader hand over to another node",
        lambda at, shared: _node_fault("transfer", Transfer(at.cluster, at.members), at, shared),
        not_on=_NO_MEMBERS,
    ),
    "limit-cpu": Kind(
        "leave nodes a small share of a processor",
        lambda at, shared: _node_fault("limit-cpu", LimitCpu(at.cluster), at, shared),
        needs=(Need.KERNEL, Need.CGROUPS),
    ),
    "limit-memory": Kind(
        "leave nodes little memory",
        lambda at, shared: _node_fault("limit-memory", LimitMemory(at.cluster), at, shared),
        needs=(Need.KERNEL, Need.CGROUPS),
    ),
    "pause": Kind(
        "stop nodes with SIGSTOP, then let them go on",
        lambda at, shared: _node_fault("pause", Pause(at.cluster, shared.answers), at, shared),
    ),
    "disk-full": Kind(
        "fill the disk of nodes and keep it full, then free it",
        lambda at, shared: DiskFull(at.cluster, shared.down, insight=at.insight),
        needs=(Need.KERNEL, Need.DISKS),
        hosts=Hosts(disk_mb=0),
    ),
    **{name: _clock_kind(name, description) for name, description in _CLOCKS.items()},
    **{name: _disk_kind(name, description) for name, description in _DISKS.items()},
    "disk-truncate": Kind(
        "cut the ends off files of nodes, and start them on what is left",
        lambda at, shared: DiskTruncate(at.cluster, shared.down, insight=at.insight),
        needs=(Need.KERNEL, Need.DISKS),
    ),
    "power-failure": Kind(
        "kill nodes and lose what they had not synced, then start them again",
        lambda at, shared: PowerFailure(at.cluster, shared.down, insight=at.insight),
        needs=(Need.KERNEL, Need.FAULTFS),
        hosts=Hosts(faulty_disks=True),
    ),
    "deposed-leader": Kind(
        "cut the leader off and pause it, and wake it once others lead",
        lambda at, shared: DeposedLeader(
            at.cluster,
            shared.cuts,
            shared.down,
            primaries=at.primaries,
            answers=shared.answers,
            seed=at.seed,
        ),
        not_on={Backend.SIMULATED: "nobody leads there"},
    ),
}
"""Every kind of fault by its name, which is also its process."""


def make_nemeses(faults: Iterable[str], environment: Environment) -> dict[str, Nemesis]:
    """
    A nemesis for each kind of fault that is asked for, in the order in which they must heal; the
    last one heals a majority first.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = {fault.name for fault in parse(faults)}
    cluster = environment.cluster
    probes = Probes(cluster)
    clients = Down(cluster.nodes, len(cluster.nodes))
    shared = Shared(
        cuts=Cuts(cluster),
        down=Down(cluster.nodes, environment.budget),
        probes=probes,
        proxies=Proxies(cluster, probes, environment.peer_ports),
        packets=Packets(cluster),
        bursts=Bursts(cluster),
        clients=clients,
        answers=_past_cuts(environment.answers, clients),
    )
    made = {name: KINDS[name].make(environment, shared) for name in HEALING_ORDER if name in asked}
    if environment.watched is not None:
        watched = environment.watched
        made = {name: Triggered(nemesis, watched) for name, nemesis in made.items()}
    return {**made, MAJORITY_ONLY: MajorityOnly(cluster, shared.cuts)} if made else {}


def hosts(faults: Iterable[str], disk_mb: int) -> Hosts:
    """
    What the hosts must be made with so that all of the faults can strike.

    Raises:
        ValueError: For a name that there is not.
    """
    nothing = Hosts(changes_network=False)  # With faults, there is the majority that heals first.
    needed = reduce(or_, (KINDS[fault.name].hosts for fault in parse(faults)), nothing)
    if needed.disk_mb is None:
        return needed
    return msgspec.structs.replace(needed, disk_mb=disk_mb)
