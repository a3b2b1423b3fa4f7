"""
Containers come back at the addresses that they had.

An engine gives the lowest address of a network that is free, and takes none that is asked for
unless the file gives the network a subnet. So a container gets its address back while a container
of ours holds every free one below. Most often there is none, and this costs a question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, ip_interface
from itertools import takewhile
from typing import Any, Final

from docker.types import LogConfig

from dissever.harness.cluster.engine import HOST_IMAGE, Engine

__all__ = ["Addresses", "free_below"]

log = logging.getLogger(__name__)

_HELD_MAX: Final = 16


class Addresses:
    """The addresses of one network, for one run; changes take turns."""

    def __init__(self, engine: Engine, network: str, labels: Mapping[str, str]) -> None:
        """
        Args:
            network: Its name.
            labels: Of what holds addresses.
        """
        self._engine = engine
        self._network = network
        self._labels = dict(labels)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def next_is(self, address: str) -> AsyncIterator[None]:
        """Until the block ends, a container that starts on the network gets the address."""
        async with self._turn:
            call, client = self._engine.call, self._engine.client
            network = await call(client.networks.get, self._network)
            held = []
            try:
                for _ in free_below(network.attrs, address)[:_HELD_MAX]:
                    held.append(await call(self._hold, client))
                yield
            finally:
                for each in held:
                    await call(each.remove, force=True)

    def _hold(self, client: Any) -> Any:
        return client.containers.run(
            HOST_IMAGE,
            ["sleep", "infinity"],
            detach=True,
            network=self._network,
            labels=self._labels,
            cap_drop=["ALL"],
            log_config=LogConfig(type="none"),
        )


def free_below(network: Mapping[str, Any], address: str) -> list[str]:
    """
    The free addresses of a network that its engine would give before this one. Pure.

    Args:
        network: As the engine's `inspect` has it.
    """
    wanted = IPv4Address(address)
    taken = {
        ip_interface(each["IPv4Address"]).ip
        for each in network["Containers"].values()
        if each.get("IPv4Address")
    }
    for pool in network["IPAM"]["Config"]:
        subnet = IPv4Network(pool["Subnet"]) if ":" not in pool["Subnet"] else None
        if subnet is None or wanted not in subnet:
            continue
        taken.add(IPv4Address(pool.get("Gateway") or subnet[1]))
        lower = takewhile(lambda each: each < wanted, subnet.hosts())
        return [str(each) for each in lower if each not in taken]
    return []
