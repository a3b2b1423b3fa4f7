"""
The links between clients and nodes, and how they are broken: by the kernel of a node's host, or by
a simulated network.

Everything that is no node is a client: the harness's own address, or the gateway of a network of
containers. Only the ports that clients are served on are meant.

Source: nft(8), ss(8).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dissever.harness.cluster import backends
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.host_commands import counted, run
from dissever.nemesis.targets import Way

__all__ = ["ClientNetwork", "HostClients", "Passage", "SimulatedClients"]

log = logging.getLogger(__name__)

DIAL_LIMIT_S: Final = 1.0

NFT: Final = ("nft", "-f", "-")

_TABLE: Final = "inet dissever_clients"

COUNTERS: Final = ("nft", "-j", "list", "table", *_TABLE.split())
"""The command that prints the counters; it fails when nothing is cut."""

HEAL: Final = f"add table {_TABLE}\ndelete table {_TABLE}\n"

_WATCH: Final = "inet dissever_client_passage"

WATCHED: Final = ("nft", "-j", "list", "table", *_WATCH.split())

UNWATCH: Final = f"add table {_WATCH}\ndelete table {_WATCH}\n"

_RECEIVED, _SENT = "received", "sent"


def ruleset(way: Way, ports: Sequence[int], nodes: Sequence[str]) -> str:
    """
    The transaction that drops, and counts, packets from clients to a node, or back, or both.

    Args:
        nodes: The addresses of all nodes, which are no clients.
    """
    others, served = _set(nodes), _set(ports)
    rules = {
        "input": f"ip saddr != {others} tcp dport {served} counter drop",
        "output": f"ip daddr != {others} tcp sport {served} counter drop",
    }
    hooks = {Way.BOTH: ("input", "output"), Way.IN: ("input",), Way.OUT: ("output",)}[way]
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} priority filter - 20; policy accept;\n"
        f"    {rules[hook]}\n  }}\n"
        for hook in hooks
    )
    return f"{HEAL}table {_TABLE} {{\n{chains}}}\n"


def watching(ports: Sequence[int], nodes: Sequence[str]) -> str:
    """
    The transaction that counts, and drops nothing, what passes between clients and a node.

    It looks after the rules of a cut, so a packet that a cut drops is not counted.
    """
    others, served = _set(nodes), _set(ports)
    rules = {
        "input": f'ip saddr != {others} tcp dport {served} counter comment "{_RECEIVED}"',
        "output": f'ip daddr != {others} tcp sport {served} counter comment "{_SENT}"',
    }
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} priority filter - 10; policy accept;\n"
        f"    {rule}\n  }}\n"
        for hook, rule in rules.items()
    )
    return f"{UNWATCH}table {_WATCH} {{\n{chains}}}\n"


def is_queue_full(listing: str) -> bool:
    """Whether `ss -H -l -t -n` names a socket that takes no more connections until one is read."""
    columns = (line.split() for line in listing.splitlines())
    return any(int(queued) > int(room) for _, queued, room, *_ in columns)


@dataclass(frozen=True, slots=True)
class Passage:
    """Whether packets pass between clients and a node, both ways, and what was seen of it."""

    is_open: bool
    facts: Mapping[str, Any]


def resetting(ports: Sequence[int], nodes: Sequence[str]) -> list[str]:
    """The command that resets every connection of a client, and prints a line for each."""
    served = " or ".join(f"sport = :{port}" for port in ports)
    others = " or ".join(f"dst {address}" for address in nodes)
    expression = f"( {served} ) and not ( {others} )"
    return ["ss", "-K", "-H", "-t", "-n", "state", "connected", expression]


def _set(elements: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, elements))} }}"


class ClientNetwork(Protocol):
    """Breaks the links between the clients and the nodes of a cluster, and says what came of it."""

    resets: tuple[str, ...]
    """Fates of a connection that was reset."""

    async def cut(self, node: str, way: Way) -> None:
        """Have a node not hear clients (in), or not be heard (out), or both."""
        ...

    async def heal(self, node: str) -> None:
        """Cut nothing any more. Idempotent."""
        ...

    async def dropped(self, node: str) -> int | None:
        """How much a cut has dropped so far; None when there is none."""
        ...

    async def knock(self, node: str) -> None:
        """Try to connect, so that there is something to drop."""
        ...

    async def passage(self, node: str) -> Passage:
        """Try to connect, and look whether packets pass; the node's process need not answer."""
        ...

    async def reset(self, node: str) -> int | None:
        """Reset every connection of clients with a node; how many there were; None: it failed."""
        ...

    async def fate(self, node: str, limit_s: float) -> str:
        """What becomes of a connection in that time: `open`, `reset`, `closed`, or why none is."""
        ...


class HostClients:
    """Implements `ClientNetwork` with rules of the kernel, and `ss`."""

    def __init__(self, cluster: AbleCluster, ports: Sequence[int]) -> None:
        """`ports`: where nodes listen for clients."""
        self._cluster = cluster
        self._ports = tuple(ports)
        # The engine's proxy may pass a reset on as an end.
        is_direct = cluster.backend == backends.NAMESPACES
        self.resets: tuple[str, ...] = ("reset",) if is_direct else ("reset", "closed")

    async def cut(self, node: str, way: Way) -> None:
        await run(self._cluster, node, NFT, ruleset(way, self._ports, self._nodes))

    async def heal(self, node: str) -> None:
        await run(self._cluster, node, NFT, HEAL)

    async def dropped(self, node: str) -> int | None:
        """Packets."""
        done = await self._cluster.command(node, COUNTERS)
        return None if done.exit_status else sum(count for _, count in counted(done.stdout))

    async def knock(self, node: str) -> None:
        with contextlib.suppress(OSError):
            (await self._cluster.dial(node, self._ports[0], DIAL_LIMIT_S)).close()

    async def passage(self, node: str) -> Passage:
        """
        Packets that the node's host received from clients, and sent to them.

        The kernel of the host answers for a process that hangs, until the queue of connections that
        the process has not read is full. From then on it drops what it receives.
        """
        await run(self._cluster, node, NFT, watching(self._ports, self._nodes))
        try:
            await self.knock(node)
            counts = dict(counted(await run(self._cluster, node, WATCHED)))
        finally:
            await run(self._cluster, node, NFT, UNWATCH)
        facts: dict[str, Any] = {name: counts.get(name, 0) for name in (_RECEIVED, _SENT)}
        if facts[_RECEIVED] and not facts[_SENT]:
            served = " or ".join(f"sport = :{port}" for port in self._ports)
            listening = ["ss", "-H", "-l", "-t", "-n", f"( {served} )"]
            facts["queue_full"] = is_queue_full(await run(self._cluster, node, listening))
        is_open = facts[_RECEIVED] > 0 and (facts[_SENT] > 0 or facts["queue_full"])
        return Passage(is_open, facts)

    async def reset(self, node: str) -> int | None:
        done = await self._cluster.command(node, resetting(self._ports, self._nodes))
        if done.exit_status:
            log.warning("%s: ss failed: %s", node, done.stderr.strip())
            return None
        return len(done.stdout.splitlines())

    async def fate(self, node: str, limit_s: float) -> str:
        try:
            connection = await self._cluster.dial(node, self._ports[0], DIAL_LIMIT_S)
        except OSError as error:
            return error.strerror or str(error)
        with connection:
            return await _ended(connection, limit_s)

    @property
    def _nodes(self) -> list[str]:
        return [self._cluster.address(node) for node in self._cluster.nodes]


class SimulatedClients:
    """Implements `ClientNetwork` where the network is simulated, and counts what it drops."""

    resets: tuple[str, ...] = ("reset",)

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster

    async def cut(self, node: str, way: Way) -> None:
        to_node, from_node = way is not Way.OUT, way is not Way.IN
        await self._cluster.cut_clients(node, to_node=to_node, from_node=from_node)

    async def heal(self, node: str) -> None:
        await self._cluster.cut_clients(node, to_node=False, from_node=False)

    async def dropped(self, node: str) -> int | None:
        """Requests and answers, or what was sent on a connection."""
        return await self._cluster.client_drops(node)

    async def knock(self, node: str) -> None:
        await self._cluster.client_fate(node, DIAL_LIMIT_S)

    async def passage(self, node: str) -> Passage:
        """What becomes of a connection of ours: one that opens, or ends, has passed both ways."""
        fate = await self._cluster.client_fate(node, DIAL_LIMIT_S)
        return Passage(fate in ("open", "closed", *self.resets), {"connection": fate})

    async def reset(self, node: str) -> int | None:
        return await self._cluster.reset_clients(node)

    async def fate(self, node: str, limit_s: float) -> str:
        return await self._cluster.client_fate(node, limit_s)


async def _ended(connection: socket.socket, limit_s: float) -> str:
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.get_running_loop().sock_recv(connection, 1)
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "open"
    return "closed"
