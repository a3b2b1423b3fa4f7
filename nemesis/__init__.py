"""
Faults: what each does to a cluster, when it strikes, and what shows that it did.

The record of a fault stands in the file that carries it out; `FAULTS` lists the records. A plan is
drawn from the seed before the run (`plan`) or read from a file (`read_script`, `compile_script`),
played by generators (`generator`, `final`) and carried out by nemeses, one for each fault
(`make_nemeses`).
"""

from dissever.harness.cluster.backends import Backend
from dissever.nemesis.dispatcher import actions, hosts, make_nemeses
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, FaultSpec, Heals
from dissever.nemesis.faults import FAULTS, healing_order, parse, without_target
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.partitions.majority_only import MAJORITY_ONLY, core
from dissever.nemesis.plans.planner import plan
from dissever.nemesis.plans.schedule import PlannedOp, final, generator
from dissever.nemesis.plans.script import compile_script, read_script
from dissever.nemesis.plans.triggers import TRIGGERS, Triggered
from dissever.nemesis.presets import ALL, PRESETS, STANDARD, possible, preset
from dissever.nemesis.targets import minority_size

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # What there is.
    "ALL",
    "FAULTS",
    "PRESETS",
    "STANDARD",
    "Backend",
    "Fault",
    "FaultSpec",
    "Heals",
    "Need",
    "healing_order",
    "parse",
    "possible",
    "preset",
    "without_target",
    # When it strikes.
    "MAJORITY_ONLY",
    "TRIGGERS",
    "PlannedOp",
    "compile_script",
    "core",
    "final",
    "generator",
    "minority_size",
    "plan",
    "read_script",
    # What carries it out.
    "Environment",
    "Triggered",
    "actions",
    "hosts",
    "make_nemeses",
    # What a new fault is made of.
    "NodeEvidence",
    "PerNode",
]
