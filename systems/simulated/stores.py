"""The stores of the simulated system whose keys are agreed on one by one: registers, and a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dissever.harness.client import NotApplied
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.systems.simulated.raft.gateway import Do


async def ask_node(cluster: SimulatedCluster, node: str, request: Do) -> Any:
    """Have a node do it. Without a process there, nothing happened."""
    try:
        return await cluster.request(None, node, request)
    except ConnectionRefusedError as error:
        raise NotApplied(str(error), "refused") from error


class SimulatedRegisters:
    """Registers by way of one node."""

    def __init__(self, cluster: SimulatedCluster, node: str) -> None:
        self._cluster = cluster
        self._node = node

    async def read(self, key: int) -> int | None:
        value: int | None = await self._do(Do(f"r{key}", "read", _as_it_is))
        return value

    async def write(self, key: int, value: int) -> None:
        await self._do(Do(f"r{key}", "write", lambda _: (value, None)))

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        def change(value: Any) -> tuple[Any, None]:
            if value != old:
                raise NotApplied(f"expected {old}, found {value}", "mismatch")
            return new, None

        try:
            await self._do(Do(f"r{key}", "cas", change))
        except NotApplied as error:
            if error.code == "mismatch":
                return False
            raise
        return True

    async def close(self) -> None:
        pass

    async def _do(self, request: Do) -> Any:
        return await ask_node(self._cluster, self._node, request)


class SimulatedElements:
    """A growing collection by way of one node. It is a list, so that a second add can be seen."""

    def __init__(self, cluster: SimulatedCluster, node: str) -> None:
        self._cluster = cluster
        self._node = node

    async def add(self, element: int) -> None:
        change = Do("set", "add", lambda held: ((*(held or ()), element), None))
        await ask_node(self._cluster, self._node, change)

    async def elements(self) -> list[int]:
        return list(await ask_node(self._cluster, self._node, Do("set", "read", _as_it_is)) or ())

    async def close(self) -> None:
        pass


def _as_it_is(value: Any) -> tuple[Any, Any]:
    """What a read does to a value, and its answer."""
    return value, value


STORES: Mapping[str, Callable[[SimulatedCluster, str], Any]] = {
    "registers": SimulatedRegisters,
    "elements": SimulatedElements,
}
"""By the names that workloads ask for; each is made of the cluster and the node that it asks."""
