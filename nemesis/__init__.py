"""
Faults: what each does to a cluster, when it strikes, and what shows that it did.

A plan is drawn from the seed before the run (`plan`), played by generators (`generator`, `final`)
and carried out by nemeses, one for each kind of fault (`make_nemeses`). These share what must not
collide: the cuts of the network, and the ledger of nodes that are down.
"""

from dissever.nemesis.connections.toxic import ToxicFault
from dissever.nemesis.faults import FAULTS, Fault, Heals, Shape, parse
from dissever.nemesis.kinds import KINDS, Environment, Kind, hosts, make_nemeses
from dissever.nemesis.needs import BACKENDS, Backend, Need
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.kill import CrashLoop, Kill, Stop
from dissever.nemesis.nodes.node_fault import NodeFault
from dissever.nemesis.nodes.pause import Pause
from dissever.nemesis.nodes.processes import Answers
from dissever.nemesis.packets.fault import PacketFault
from dissever.nemesis.partitions.cuts import Cuts, LinkEvidence
from dissever.nemesis.partitions.deposed_leader import DeposedLeader
from dissever.nemesis.partitions.grudges import PartitionSpec
from dissever.nemesis.partitions.majority_only import MAJORITY_ONLY, MajorityOnly, core
from dissever.nemesis.partitions.partition import Partition
from dissever.nemesis.partitions.swizzle import Swizzle
from dissever.nemesis.plans.planner import plan
from dissever.nemesis.plans.schedule import PlannedOp, final, generator
from dissever.nemesis.plans.script import Script, compile_script, read_script
from dissever.nemesis.plans.triggers import EVENTS, Triggered
from dissever.nemesis.targets import TargetSpec, minority_size

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # What there is.
    "BACKENDS",
    "FAULTS",
    "KINDS",
    "Backend",
    "Fault",
    "Heals",
    "Kind",
    "Need",
    "PartitionSpec",
    "Shape",
    "TargetSpec",
    "parse",
    # When it strikes.
    "EVENTS",
    "MAJORITY_ONLY",
    "PlannedOp",
    "Script",
    "compile_script",
    "core",
    "final",
    "generator",
    "hosts",
    "minority_size",
    "plan",
    "read_script",
    # What carries it out.
    "Answers",
    "CrashLoop",
    "Cuts",
    "DeposedLeader",
    "Down",
    "Environment",
    "Kill",
    "LinkEvidence",
    "MajorityOnly",
    "NodeFault",
    "PacketFault",
    "Partition",
    "Pause",
    "Stop",
    "Swizzle",
    "ToxicFault",
    "Triggered",
    "make_nemeses",
]
