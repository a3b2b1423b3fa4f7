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
import contextlib
import json
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec

from dissever.harness.cluster import SYN_RETRIES, Renewals
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.connections.flows import SAMPLE, Samples, Traffic, not_held_up
from dissever.nemesis.host_commands import UP_LIMIT_S, Helper, comes_up, counted, run, run_script
from dissever.nemesis.partitions.grudges import Link
from dissever.nemesis.toxiproxy import (
    CALL_LIMIT_S,
    Direction,
    NoAnswer,
    Proxy,
    Toxic,
    Toxiproxy,
    server,
)

__all__ = ["CONTROL_PORT", "Proxies"]

log = logging.getLogger(__name__)

ECHO_PORT: Final = 20_007
CONTROL_PORT: Final = 8474
REPLACE_PORT: Final = 8475
LISTEN_FROM: Final = 21_000
ALIAS_FROM: Final = 22_000
TWIN_FROM: Final = 23_000
PEERS_MAX: Final = 100

TABLE: Final = "ip dissever_proxies"

UP, DOWN = Direction.UPSTREAM.value, Direction.DOWNSTREAM.value
DATA: Final = "tcp flags & psh == psh"
"""A packet that carries data, and no mere acknowledgement."""

SAMPLES: Final = 20
SAMPLE_GAP_S: Final = 0.02

ANSWER_LIMIT_S: Final = 3.0
"""A server that does not answer in this time hangs."""

_Answer = TypeVar("_Answer")

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

ECHO: Final = """
import socketserver, sys

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    def handle_error(self, request, client_address):
        pass  # A connection that a fault has reset.

Server(("0.0.0.0", int(sys.argv[1])), Echo).serve_forever()
"""
"""Answers on each host when toxics are measured, so that no node's own process takes part."""


class Proxies:
    """
    The proxies of one cluster; `lay` puts them on the links.

    What each server should hold is kept here, so one that hangs is replaced by a new one: a toxic
    behind which another has ended the connection can no longer be removed, nor can one that waits
    for a peer that takes nothing. The connections through that server end with it.
    """

    def __init__(self, cluster: AbleCluster, ports: Sequence[int]) -> None:
        """`ports`: where nodes listen for each other."""
        self._cluster = cluster
        self._echoes = Helper(cluster, "echo", ECHO, ECHO_PORT, self._knock)
        self._ports = tuple(ports)
        self._laying = asyncio.Lock()
        self._turns = {node: asyncio.Lock() for node in cluster.nodes}
        self._renewals = Counter(dict.fromkeys(cluster.nodes, 0))
        """Node -> how often its host became another one, whose server knows nothing."""
        self._servers: dict[str, Toxiproxy] = {}
        self._proxies: dict[str, dict[str, Proxy]] = {node: {} for node in cluster.nodes}
        self._toxics: dict[str, dict[str, Toxics]] = {node: {} for node in cluster.nodes}
        self._twins: dict[str, int] = {}
        self.replaced = Counter(dict.fromkeys(cluster.nodes, 0))
        """Node -> how many servers on its host hung."""
        self.is_laid = False

    async def lay(self) -> None:
        """
        Put every link behind a proxy; connections that there are end. Idempotent.

        Raises:
            OSError: When there is no server, or it does not come up.
        """
        async with self._laying:
            if self.is_laid:
                return
            program = await asyncio.to_thread(server.find)
            if not isinstance(program, Path):
                raise OSError(0, f"{program.reason}; {program.remedy}")
            if isinstance(self._cluster, Renewals):
                self._cluster.hear_renewals(self._tell_again)
            await self._echoes.lay()
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

    def is_shared(self, nodes: Iterable[str], fault: str) -> bool:
        """Whether another fault has toxics on one of these servers as well."""
        return any(
            toxics and name != fault
            for node in nodes
            for name, toxics in self._toxics[node].items()
        )

    async def there(self, node: str) -> dict[str, Proxy]:
        """What a server says that it holds."""
        return await self._asked(node, self._servers[node].proxies)

    async def traffic(self) -> Traffic:
        """What the counters on all hosts say now."""
        nodes = self._cluster.nodes
        list_table = ["nft", "-j", "list", "table", *TABLE.split()]
        listings = await asyncio.gather(*(run(self._cluster, n, list_table) for n in nodes))
        counts: dict[Link, Counter[str]] = {}
        for node, listing in zip(nodes, listings, strict=True):
            for comment, packets in counted(listing):
                what, _, peer = comment.partition(" ")
                counts.setdefault((node, peer), Counter())[what] += packets
        return counts

    async def not_held_up(self, links: Sequence[Link], delay_s: float) -> list[Link]:
        """Those of the links on which data came and were passed on sooner. Takes some 0.5 s."""
        nodes = sorted({node for link in links for node in link})
        samples = await asyncio.gather(*(self._sampled(node) for node in nodes))
        places = {
            (node, peer): [
                (str(listen), f"{self._cluster.address(peer)}:{alias}")
                for to, _, listen, alias, _ in self._table(node)
                if to == peer
            ]
            for node, peer in permutations(nodes, 2)
        }
        return not_held_up(dict(zip(nodes, samples, strict=True)), places, links, delay_s)

    async def _sampled(self, node: str) -> Samples:
        ports = json.dumps([listen for _, _, listen, _, _ in self._table(node)])
        arguments = (SAMPLES, SAMPLE_GAP_S, ports)
        return msgspec.convert(await run_script(self._cluster, node, SAMPLE, *arguments), Samples)

    async def _tell_again(self, node: str) -> None:
        """The host of a node is a new one, and its server knows nothing yet."""
        self._renewals[node] += 1
        if node in self._servers:
            await self._asked(node, partial(self._tell, node))

    async def _align(self, node: str) -> None:
        """Have a server hold what it should; one that hangs, or is gone, is replaced first."""
        await self._asked(node, partial(self._tell_or_replace, node))

    async def _asked(self, node: str, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """
        What the server of a node answers, when it is its turn.

        If the host becomes another one meanwhile, nobody knows which server has answered. Its new
        server is told first, because that has waited for its turn longer; then it is asked again.
        """
        while True:
            async with self._turns[node]:
                before = self._renewals[node]
                try:
                    answer = await ask()
                except OSError:
                    if before == self._renewals[node]:
                        raise
                else:
                    if before == self._renewals[node]:
                        return answer

    async def _tell(self, node: str) -> None:
        await comes_up(self._servers[node].proxies)
        await self._servers[node].apply(self._wanted(node))

    async def _tell_or_replace(self, node: str) -> None:
        before = self._renewals[node]
        try:
            await self._servers[node].apply(self._wanted(node))
        except NoAnswer as error:
            if before != self._renewals[node]:
                raise  # It has not hung: it went with its host.
            log.warning("%s: %s: it is replaced", node, error)
            self.replaced[node] += 1
            with await self._cluster.dial(node, REPLACE_PORT, UP_LIMIT_S) as connection:
                await asyncio.get_running_loop().sock_recv(connection, 1)
            await self._tell(node)

    def _wanted(self, node: str) -> list[Proxy]:
        faults = self._toxics[node].values()
        return [
            replace(proxy, toxics=tuple(t for fault in faults for t in fault.get(name, ())))
            for name, proxy in self._proxies[node].items()
        ]

    async def _knock(self, node: str) -> None:
        (await self._cluster.dial(node, ECHO_PORT, UP_LIMIT_S)).close()

    async def _serve(self, node: str, program: Path) -> None:
        """Start the server of a node, with a proxy for each peer and port."""
        there = await self._cluster.carry(node, program)
        command = [there, "-host", "0.0.0.0", "-port", str(CONTROL_PORT)]
        argv = [self._cluster.python, "-I", "-S", "-c", KEEP, str(REPLACE_PORT), *command]
        await self._cluster.spawn(node, "toxiproxy", argv)
        dial = partial(self._cluster.dial, node, CONTROL_PORT, CALL_LIMIT_S)
        self._servers[node] = Toxiproxy(dial, ANSWER_LIMIT_S)
        await comes_up(self._servers[node].proxies)
        own = self._cluster.address(node)
        for peer, name, listen, alias, _ in self._table(node):
            upstream = f"{self._cluster.address(peer)}:{alias}"
            self._proxies[node][name] = Proxy(name, f"{own}:{listen}", upstream)
        await self._align(node)

    async def _redirect(self, node: str) -> None:
        setting = "/proc/sys/net/ipv4/tcp_syn_retries"  # Containers are made with it.
        retries = f"[ $(cat {setting}) = {SYN_RETRIES} ] || echo {SYN_RETRIES} > {setting}"
        done = await self._cluster.command(node, ["sh", "-c", retries])
        if done.exit_status:
            log.warning("%s: connections wait longer for a cut peer: %s", node, done.stderr.strip())
        await run(self._cluster, node, ["nft", "-f", "-"], self._redirection(node))
        # A connection of before is refused at its next packet, which may come only under a fault
        # and would be counted as one that went past. Where the kernel can, all end now.
        ports = " or ".join(f"dport = :{port}" for port in self._ports)
        end = ["ss", "-K", "-H", "-t", "-n", "state", "connected", f"( {ports} )"]
        with contextlib.suppress(OSError):  # Without `ss` they are refused as they come.
            await self._cluster.command(node, end)

    def _redirection(self, node: str) -> str:
        """The transaction that leads a node's connections through its proxies."""
        own = self._cluster.address(node)
        nat, guard, back = [], [], []
        for peer, _, listen, alias, port in self._table(node):
            address = self._cluster.address(peer)
            there = f"ip daddr {address} tcp dport {port}"
            nat += [
                f"{there} dnat to {own}:{listen}",
                f"ip daddr {address} tcp dport {alias} dnat to {address}:{port}",
            ]
            sent_on = f"{there} ct original proto-dst {alias}"
            answered = f"ip saddr {address} tcp sport {port} ct original proto-dst {alias}"
            guard += [
                f'tcp dport {listen} {DATA} counter comment "{UP}-came {peer}"',
                f'{sent_on} {DATA} counter comment "{UP}-went {peer}"',
                f'tcp sport {listen} {DATA} counter comment "{DOWN}-went {peer}"',
                f'tcp dport {listen} counter comment "asked {peer}"',
                f'{sent_on} counter accept comment "passed {peer}"',
                f'{there} tcp flags & rst == 0 counter reject with tcp reset comment "past {peer}"',
            ]
            back.append(f'{answered} {DATA} counter comment "{DOWN}-came {peer}"')
        return (
            f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n"
            + _chain("lead", "type nat hook output priority -100; policy accept;", nat)
            + _chain("guard", "type filter hook output priority filter; policy accept;", guard)
            + _chain("back", "type filter hook input priority filter; policy accept;", back)
            + "}\n"
        )

    def _table(self, node: str) -> list[tuple[str, str, int, int, int]]:
        """For each peer and port: the peer, the proxy's name, where it listens, alias, port."""
        return [
            (peer, name, LISTEN_FROM + PEERS_MAX * i + number, ALIAS_FROM + i, self._ports[i])
            for number, peer in enumerate(self._cluster.nodes)
            if peer != node
            for i, name in enumerate(self.names(node, peer))
        ]


def _chain(name: str, kind: str, rules: Sequence[str]) -> str:
    return f"  chain {name} {{\n    {kind}\n" + "".join(f"    {r}\n" for r in rules) + "  }\n"
