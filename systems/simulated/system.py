"""The simulated system as the harness knows it: its options, and how its nodes are started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.cluster import Allocations
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulated import Behaviour, SimulatedCluster, SimulatedDisk
from dissever.harness.missing import Missing
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.system import Membership, Ports, Primaries, Upgrades
from dissever.systems.simulated import transactions
from dissever.systems.simulated.database import ISOLATION
from dissever.systems.simulated.node import BUG_SHARE, BUGS, DATABASE, Do, Node, now_s
from dissever.systems.simulated.stores import STORES, ask_node
from dissever.systems.simulated.transactions import SimulatedTransactions
from dissever.workloads import WORKLOADS

READY_POLL_S = 0.1
"""The gap between two looks whether every node answers."""

OF_TRANSACTIONS: Final = ("transactions", "rows")
"""The stores that `SimulatedTransactions` is."""


class SimulatedDeployment:
    """
    The store on a simulated cluster.

    Nobody leads: any node serves. Replicas cannot be compared: an acceptor holds what it accepted,
    which need not be what others hold.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        rng: Random | None = None,
        *,
        isolation: str = "serializable",
        bug: str = "",
    ) -> None:
        self.cluster = cluster
        self._rng = rng or Random(0)
        self._isolation = transactions.isolation(isolation, bug)
        self._bug = bug
        self._begun = count(1)

    async def answers(self, node: str) -> bool:
        try:
            async with asyncio.timeout(0.2):
                await self.cluster.request(None, node, "who are you")
        except (TimeoutError, ConnectionError):
            return False
        return True

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        until_s = now_s() + timeout_s
        while silent := [node for node in self.cluster.nodes if not await self.answers(node)]:
            if now_s() >= until_s:
                raise TimeoutError(f"no answer from {', '.join(silent)} in {timeout_s:g} s")
            await asyncio.sleep(READY_POLL_S)
        return {"answering": list(self.cluster.nodes)}

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        until_s = now_s() + timeout_s
        while now_s() < until_s:
            for node in nodes:
                try:
                    async with asyncio.timeout(1.0):
                        await ask_node(self.cluster, node, Do("progress", lambda _: 1, "write", 1))
                except (NotApplied, TimeoutError, OSError):
                    continue
                return {"by": node}
            await asyncio.sleep(READY_POLL_S)
        raise TimeoutError(f"no write by way of {', '.join(nodes)} in {timeout_s:g} s")

    async def open_store(self, store: str, node: str) -> Any:
        if store not in OF_TRANSACTIONS:
            return STORES[store](self.cluster, node)

        async def ask(f: str, change: Callable[[Any], Any]) -> Any:
            return await ask_node(self.cluster, node, Do(DATABASE, change, f))

        def is_torn() -> bool:
            return self._bug == "fractured-read" and self._rng.random() < BUG_SHARE

        return SimulatedTransactions(ask, self._isolation, self._begun.__next__, is_torn)


class SimulatedSystem:
    """Implements `System` on the virtual clock."""

    name = "simulated"
    description = "an in-memory replicated store in virtual time, with bugs to switch on"
    stores = (*STORES, *OF_TRANSACTIONS)
    backends = (SIMULATED,)
    options: Mapping[str, Option] = {
        "bug": Option(
            f"a bug to switch on: {', '.join(BUGS)}; of transactions alone:"
            f" {', '.join(transactions.BUGS)}",
            choices=(*BUGS, *transactions.BUGS),
        ),
        "isolation": Option(
            f"what transactions are promised: {', '.join(ISOLATION)}",
            default="serializable",
            choices=tuple(ISOLATION),
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
            Primaries: "nobody leads there",
            Membership: "it has no members to change",
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
        bug = str(options.system_options.get("bug") or "")
        isolation = str(options.system_options.get("isolation") or "serializable")

        def boot(name: str, disk: SimulatedDisk, cluster: SimulatedCluster) -> Behaviour:
            if "durable" not in disk.content:
                disk.keep("durable", {})
            return Node(name, disk.content["durable"], cluster, rng, bug)

        cluster = SimulatedCluster(options.nodes, boot, rng, directory)
        for node in cluster.nodes:
            await cluster.start(node)
        try:
            yield SimulatedDeployment(cluster, rng, isolation=isolation, bug=bug)
        finally:
            await cluster.close()
