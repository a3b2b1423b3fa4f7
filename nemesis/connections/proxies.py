"""
Proxies on the links between nodes: one for each ordered pair and port, which no node knows of.

Each host runs a Toxiproxy server. nft leads what the node sends to a peer to the
proxy of that link; the proxy connects to the peer under another port, which nft turns back, so that
its own connections are not led to it again. What the peer sees comes from the node's own address:
cuts between nodes work as before. What would still go past a proxy is refused, and counted.

Nothing drops packets between a node and its proxy. Between a proxy and its peer a partition may:
new connections then wait, and a SYN is sent again once only, so that none waits for long.

Source: nft(8); Shopify/toxiproxy v2.12.0.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from dissever.harness.cluster import SYN_RETRIES
from dissever.nemesis.abilities import WithHosts
from dissever.nemesis.host_commands import UP_LIMIT_S, comes_up, run
from dissever.nemesis.partitions.grudges import Link
from dissever.nemesis.probes import ECHO_PORT, Probes
from dissever.nemesis.toxiproxy import Proxy, Toxic, Toxiproxy, Unreachable, Wedged, server
from dissever.nemesis.toxiproxy.transport import CALL_LIMIT_S

__all__ = ["CONTROL_PORT", "Proxies", "redirection", "traffic"]

log = logging.getLogger(__name__)

CONTROL_PORT: Final = 8474
REPLACE_PORT: Final = 8475
LISTEN_FROM: Final = 21_000
ALIAS_FROM: Final = 22_000
TWIN_FROM: Final = 23_000
PEERS_MAX: Final = 100

TABLE: Final = "ip dissever_proxies"

ANSWER_LIMIT_S: Final = 3.0
"""A server that does not answer in this time hangs."""

Toxics: TypeAlias = Mapping[str, tuple[Toxic, ...]]
"""Proxy -> what acts on it."""

KEEP: Final = """
import socket, subprocess, sys

server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    child = subprocess.Popen(sys.argv[2:])
    connection, _ = server.accept()
    child.kill()
    child.wait()
    connection.close()
"""
"""Runs a program, and replaces it by another whenever somebody connects."""


class Proxies:
    """
    The proxies of one cluster; `lay` puts them on the links.

    What each server should hold is kept here, so one that hangs is replaced by a new one: a toxic
    behind which another has ended the connection can no longer be removed, nor can one that waits
    for a peer that takes nothing. The connections through that server end with it.
    """

    def __init__(self, cluster: WithHosts, probes: Probes, ports: Sequence[int]) -> None:
        """`ports`: where nodes listen for each other."""
        self._cluster = cluster
        self._probes = probes
        self._ports = tuple(ports)
        self._laying = asyncio.Lock()
        self._turns = {node: asyncio.Lock() for node in cluster.nodes}
        self._servers: dict[str, Toxiproxy] = {}
        self._proxies: dict[str, dict[str, Proxy]] = {node: {} for node in cluster.nodes}
        self._toxics: dict[str, dict[str, Toxics]] = {node: {} for node in cluster.nodes}
        self._twins: dict[str, int] = {}
        self._replaced = dict.fromkeys(cluster.nodes, 0)
        self.is_laid = False

    @property
    def replaced(self) -> Mapping[str, int]:
        """Node -> how many servers on its host hung."""
        return dict(self._replaced)

    async def lay(self) -> None:
        """
        Put every link behind a proxy; connections that there are end. Idempotent.

        Raises:
            OSError: When there is no server, or it does not come up.
        """
        async with self._laying:
            if self.is_laid:
                return
            if not self._ports:
                raise OSError(0, "the system does not say on which ports its nodes hear each other")
            program = await asyncio.to_thread(server.find)
            if not isinstance(program, Path):
                raise OSError(0, f"{program.reason}; {program.remedy}")
            await self._probes.lay()
            nodes = self._cluster.nodes
            await asyncio.gather(*(self._serve(node, program) for node in nodes))
            await asyncio.gather(*(self._redirect(node) for node in nodes))
            self.is_laid = True

    def names(self, source: str, destination: str) -> tuple[str, ...]:
        """The proxies, on the host of the source, of what it connects to at the destination."""
        return tuple(f"{source}->{destination}:{port}" for port in self._ports)

    async def twin(self, node: str, name: str) -> None:
        """A proxy before the host's own echo, to measure what toxics do; `connect` reaches it."""
        listen = f"{self._cluster.address(node)}:{self._twin_port(name)}"
        self._proxies[node][name] = Proxy(name, listen, f"127.0.0.1:{ECHO_PORT}")
        await self._align(node)

    async def connect(self, node: str, name: str) -> socket.socket:
        """A connection from the harness through a twin; the caller closes it. Raises OSError."""
        return await self._cluster.dial(node, self._twin_port(name), CALL_LIMIT_S)

    def _twin_port(self, name: str) -> int:
        return TWIN_FROM + self._twins.setdefault(name, len(self._twins))

    async def put(self, node: str, fault: str, toxics: Toxics) -> None:
        """Replace what a fault has on the proxies of a server; nothing heals it. Idempotent."""
        self._toxics[node][fault] = toxics
        await self._align(node)

    async def there(self, node: str) -> dict[str, Proxy]:
        """What a server says that it holds."""
        async with self._turns[node]:
            return await self._servers[node].proxies()

    async def traffic(self) -> dict[Link, dict[str, int]]:
        """(source, destination) -> packets `asked` of the proxy, `passed` on, sent `past` it."""
        nodes = self._cluster.nodes
        list_table = ["nft", "-j", "list", "table", *TABLE.split()]
        listings = await asyncio.gather(*(run(self._cluster, n, list_table) for n in nodes))
        return {
            (node, peer): counts
            for node, listing in zip(nodes, listings, strict=True)
            for peer, counts in traffic(listing).items()
        }

    async def _align(self, node: str) -> None:
        """Have a server hold what it should; one that hangs, or is gone, is replaced first."""
        async with self._turns[node]:
            try:
                await self._servers[node].apply(self._wanted(node))
            except (Wedged, Unreachable) as error:
                log.warning("%s: %s: it is replaced", node, error)
                self._replaced[node] += 1
                with await self._cluster.dial(node, REPLACE_PORT, UP_LIMIT_S) as connection:
                    await asyncio.get_running_loop().sock_recv(connection, 1)
                await self._come_up(node)
                await self._servers[node].apply(self._wanted(node))

    def _wanted(self, node: str) -> list[Proxy]:
        faults = self._toxics[node].values()
        return [
            replace(proxy, toxics=tuple(t for fault in faults for t in fault.get(name, ())))
            for name, proxy in self._proxies[node].items()
        ]

    async def _serve(self, node: str, program: Path) -> None:
        """Start the server of a node, with a proxy for each peer and port."""
        there = await self._cluster.carry(node, program)
        command = [there, "-host", "0.0.0.0", "-port", str(CONTROL_PORT)]
        argv = [self._cluster.python, "-I", "-S", "-c", KEEP, str(REPLACE_PORT), *command]
        await self._cluster.spawn(node, "toxiproxy", argv)
        loop = asyncio.get_running_loop()

        def dial() -> socket.socket:
            """From a thread: the cluster belongs to the loop."""
            dialing = self._cluster.dial(node, CONTROL_PORT, CALL_LIMIT_S)
            return asyncio.run_coroutine_threadsafe(dialing, loop).result(2 * CALL_LIMIT_S)

        self._servers[node] = Toxiproxy(dial, ANSWER_LIMIT_S)
        await self._come_up(node)
        own = self._cluster.address(node)
        for peer, name, listen, alias, _ in self._table(node):
            upstream = f"{self._cluster.address(peer)}:{alias}"
            self._proxies[node][name] = Proxy(name, f"{own}:{listen}", upstream)
        await self._align(node)

    async def _come_up(self, node: str) -> None:
        """Wait until the server of a node answers. Raises Unreachable when it does not."""
        await comes_up(self._servers[node].version)

    async def _redirect(self, node: str) -> None:
        setting = "/proc/sys/net/ipv4/tcp_syn_retries"  # Containers are made with it.
        retries = f"[ $(cat {setting}) = {SYN_RETRIES} ] || echo {SYN_RETRIES} > {setting}"
        done = await self._cluster.command(node, ["sh", "-c", retries])
        if done.exit_status:
            log.warning("%s: connections wait longer for a cut peer: %s", node, done.stderr.strip())
        rows = [
            (peer, self._cluster.address(peer), listen, alias, port)
            for peer, _, listen, alias, port in self._table(node)
        ]
        rules = redirection(self._cluster.address(node), rows)
        await run(self._cluster, node, ["nft", "-f", "-"], rules)

    def _table(self, node: str) -> list[tuple[str, str, int, int, int]]:
        """For each peer and port: the peer, the proxy's name, where it listens, alias, port."""
        return [
            (peer, name, LISTEN_FROM + PEERS_MAX * i + number, ALIAS_FROM + i, self._ports[i])
            for number, peer in enumerate(self._cluster.nodes)
            if peer != node
            for i, name in enumerate(self.names(node, peer))
        ]


def redirection(own: str, rows: Sequence[tuple[str, str, int, int, int]]) -> str:
    """
    The transaction that leads a node's connections through its proxies.

    Args:
        own: The node's address, where its proxies listen.
        rows: (peer, its address, where the proxy listens, the port that it connects to, the port
            that is meant).
    """
    nat, guard = [], []
    for peer, address, listen, alias, port in rows:
        nat += [
            f"ip daddr {address} tcp dport {port} dnat to {own}:{listen}",
            f"ip daddr {address} tcp dport {alias} dnat to {address}:{port}",
        ]
        there = f"ip daddr {address} tcp dport {port}"
        guard += [
            f'tcp dport {listen} counter comment "asked {peer}"',
            f'{there} ct original proto-dst {alias} counter accept comment "passed {peer}"',
            f'{there} tcp flags & rst == 0 counter reject with tcp reset comment "past {peer}"',
        ]
    return (
        f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n"
        + _chain("lead", "type nat hook output priority -100; policy accept;", nat)
        + _chain("guard", "type filter hook output priority filter; policy accept;", guard)
        + "}\n"
    )


def traffic(listing: str) -> dict[str, dict[str, int]]:
    """Peer -> packets by what became of them, from what `nft -j list table` printed."""
    counts: dict[str, dict[str, int]] = {}
    for each in json.loads(listing)["nftables"]:
        rule = each.get("rule", {})
        what, _, peer = rule.get("comment", "").partition(" ")
        if peer:
            packets = next(e["counter"]["packets"] for e in rule["expr"] if "counter" in e)
            of_peer = counts.setdefault(peer, {})
            of_peer[what] = of_peer.get(what, 0) + packets
    return counts


def _chain(name: str, kind: str, rules: Sequence[str]) -> str:
    return f"  chain {name} {{\n    {kind}\n" + "".join(f"    {r}\n" for r in rules) + "  }\n"
