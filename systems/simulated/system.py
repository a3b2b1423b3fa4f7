"""The simulated system as the harness knows it: its options, and how its nodes are started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from dissever.harness.cluster import Allocations
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulated import Behaviour, SimulatedCluster, SimulatedDisk
from dissever.harness.missing import Missing
from dissever.harness.options import Option, OptionValue
from dissever.harness.plan import Options
from dissever.harness.system import Ports, Upgrades
from dissever.harness.trace import Trace
from dissever.systems.simulated import bugs, transactions
from dissever.systems.simulated.database import ISOLATION
from dissever.systems.simulated.deployment import OF_TRANSACTIONS, SimulatedDeployment
from dissever.systems.simulated.raft.invariants import Invariants
from dissever.systems.simulated.raft.node import Node
from dissever.systems.simulated.raft.server import USUAL, Timings
from dissever.systems.simulated.stores import STORES
from dissever.workloads import WORKLOADS

BY_LEASE: Final = "lease"

ENTRIES_MOST: Final = 1 << 20


class SimulatedSystem:
    """Implements `System` on the virtual clock."""

    name = "simulated"
    description = "a Raft store in virtual time, with bugs to switch on"
    stores = (*STORES, *OF_TRANSACTIONS)
    is_virtual = True
    backends = (SIMULATED,)
    options: Mapping[str, Option] = {
        "bug": Option(bugs.description(), choices=(*bugs.BUGS, *transactions.BUGS)),
        "isolation": Option(
            f"what transactions are promised: {', '.join(ISOLATION)}",
            default="serializable",
            choices=tuple(ISOLATION),
        ),
        "reads": Option(
            "how a leader knows that it may answer a read: `index`: it asks the others each time;"
            " `lease`: it heard them a moment ago, which is right as long as clocks go alike",
            default="index",
            choices=("index", BY_LEASE),
        ),
        "snapshot-threshold": Option(
            f"entries after which a snapshot is taken, {USUAL.snapshot_entries} by default",
            least=1,
            most=ENTRIES_MOST,
        ),
        "snapshot-trailing": Option(
            f"entries that a snapshot holds and the log keeps, {USUAL.trailing_entries} by default",
            least=0,
            most=ENTRIES_MOST,
        ),
    }

    def check(self, options: Options) -> None:
        bug, workload = options.system_options.get("bug"), options.workload
        of_others = workload in WORKLOADS and WORKLOADS[workload].store not in OF_TRANSACTIONS
        if bug in transactions.BUGS and of_others:
            raise ValueError(
                f"expected a workload of transactions for the bug {bug}, such as append,"
                f" got {workload}"
            )

    def lacks(self, options: Options) -> Mapping[type, str]:
        return {
            Upgrades: "it has one version",
            Ports: "its nodes have no ports",
            Allocations: "its nodes are objects in Python, which share one memory",
        }

    def voters(self, options: Options) -> tuple[str, ...]:
        return options.nodes

    def probe(self, options: Options | None = None) -> Missing | None:
        return None

    def versions(self, options: Options | None = None) -> dict[str, str]:
        return {}

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[SimulatedDeployment]:
        own = options.system_options
        bug = str(own.get("bug") or "")
        isolation = str(own.get("isolation") or "serializable")
        by_lease = own.get("reads") == BY_LEASE
        timings = _timings(own)
        sessions = count(1)
        invariants = Invariants()

        def boot(name: str, disk: SimulatedDisk, cluster: SimulatedCluster) -> Behaviour:
            session = f"{name}.{next(sessions)}"
            return Node(
                *(name, disk, cluster),
                session=session,
                bug=bug,
                by_lease=by_lease,
                timings=timings,
                invariants=invariants,
            )

        cluster = SimulatedCluster(options.nodes, boot, rng, directory)
        cluster.trace = Trace(is_on=options.trace)
        deployment = SimulatedDeployment(cluster, rng, isolation=isolation, bug=bug)
        await deployment.start()
        try:
            yield deployment
        finally:
            await cluster.close()


def _timings(own: Mapping[str, OptionValue]) -> Timings:
    """As usual, but for snapshots where the options say so."""
    threshold, trailing = own.get("snapshot-threshold"), own.get("snapshot-trailing")
    return replace(
        USUAL,
        snapshot_entries=USUAL.snapshot_entries if threshold is None else int(threshold),
        trailing_entries=USUAL.trailing_entries if trailing is None else int(trailing),
    )
