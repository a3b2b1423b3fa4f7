"""Links between nodes: cut, counted, healed, and seen from outside for each direction."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dissever.harness.cluster import Cluster, Program
from dissever.harness.cluster.trial import tool

pytestmark = pytest.mark.cluster

on_namespaces = pytest.mark.parametrize("backend", ["namespaces"], indirect=True)

Open: TypeAlias = Callable[[int], Awaitable[Any]]
Hello: TypeAlias = Callable[[Cluster, str], Awaitable[bytes]]

LOST_S = 0.1
"""How long a datagram may take on this machine before it counts as lost."""
PATIENT_S = 5.0

SLOW_NFT = """#!/bin/sh
rules=$(cat)
case "$rules" in *saddr*) sleep 0.2;; esac
printf '%s\\n' "$rules" | {nft} "$@"
"""

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 7000), timeout=float(sys.argv[2])).recv(1)
except TimeoutError:
    sys.exit(4)
"""


async def cuts_are(cluster: Cluster, wanted: set[tuple[str, str]]) -> bool:
    """Whether packets do not pass between these (source, destination) pairs, but all others."""
    others = [pair for pair in permutations(cluster.nodes, 2) if pair not in wanted]
    seen_cut = await cluster.reach(sorted(wanted), timeout_s=LOST_S)
    seen_open = await cluster.reach(others, timeout_s=PATIENT_S)

    assert (set(seen_cut), list(seen_open)) == (wanted, others)
    return all(seen_open.values()) and not any(seen_cut.values())


async def connect(cluster: Cluster, source: str, destination: str, time_s: float) -> int:
    """The exit status of a program that connects from one node's host to another's listener."""
    address = cluster.address(destination)
    python = sys.executable if cluster.backend == "namespaces" else "python3"
    argv = [python, "-I", "-S", "-c", CONNECT, address, str(time_s)]
    done = await cluster.command(source, argv)
    return done.exit_status


def test_every_node_reaches_every_other(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(5) as cluster:
            pairs = list(permutations(cluster.nodes, 2))

            assert all((await cluster.reach(pairs, timeout_s=PATIENT_S)).values())
            assert await cluster.dropped() == {}

    asyncio.run(run())


@pytest.mark.parametrize("pair", list(permutations(("n1", "n2", "n3"), 2)), ids="-".join)
def test_cut_holds_for_that_pair_in_that_direction_alone(
    open_cluster: Open, pair: tuple[str, str]
) -> None:
    async def run() -> None:
        source, destination = pair
        async with await open_cluster(3) as cluster:
            await cluster.drop({destination: frozenset({source})})

            assert await cuts_are(cluster, {pair})
            dropped = await cluster.dropped()
            assert list(dropped) == [pair]
            assert dropped[pair] > 0

            await cluster.drop({})

            assert await cuts_are(cluster, set())
            assert await cluster.dropped() == {}

    asyncio.run(run())


def test_new_grudge_replaces_the_old_one_and_counts_anew(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(3) as cluster:
            await cluster.drop({"n1": frozenset({"n2", "n3"})})
            assert await cuts_are(cluster, {("n2", "n1"), ("n3", "n1")})
            await cluster.drop(
                {"n1": frozenset({"n3"}), "n2": frozenset({"n1"}), "n3": frozenset()}
            )

            assert await cluster.dropped() == {("n3", "n1"): 0, ("n1", "n2"): 0}
            assert await cuts_are(cluster, {("n3", "n1"), ("n1", "n2")})

    asyncio.run(run())


def test_one_way_cut_is_enough_to_break_tcp_both_ways(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            for node in cluster.nodes:
                await cluster.start(node, listener)
                await hello(cluster, node)
            assert await connect(cluster, "n1", "n2", PATIENT_S) == 0

            await cluster.drop({"n2": frozenset({"n1"})})
            assert await connect(cluster, "n1", "n2", LOST_S) == 4
            assert await connect(cluster, "n2", "n1", LOST_S) == 4

            await cluster.drop({})
            assert await connect(cluster, "n1", "n2", PATIENT_S) == 0

    asyncio.run(run())


def test_clients_reach_nodes_that_are_cut_off_from_all_others(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(3) as cluster:
            everyone = frozenset(cluster.nodes)
            await cluster.drop({node: everyone - {node} for node in cluster.nodes})
            for node in cluster.nodes:
                await cluster.start(node, listener)

            assert [await hello(cluster, node) for node in cluster.nodes] == [b"hello"] * 3
            assert await cuts_are(cluster, set(permutations(cluster.nodes, 2)))

    asyncio.run(run())


def test_host_is_reached_whatever_its_process_does(open_cluster: Open, listener: Program) -> None:
    async def run() -> None:
        async with await open_cluster(3) as cluster:
            await cluster.start("n1", listener)
            await cluster.pause("n1")
            await cluster.start("n2", listener)
            await cluster.kill("n2")

            assert await cuts_are(cluster, set())

    asyncio.run(run())


def test_cuts_and_counters_outlive_the_process(open_cluster: Open, listener: Program) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            await cluster.start("n1", listener)
            await cluster.drop({"n1": frozenset({"n2"})})
            assert await cuts_are(cluster, {("n2", "n1")})
            before = await cluster.dropped()
            assert before["n2", "n1"] > 0
            await cluster.kill("n1")
            await cluster.start("n1")

            assert await cluster.dropped() == before
            assert await cuts_are(cluster, {("n2", "n1")})

    asyncio.run(run())


@on_namespaces  # Where nft is that of this machine.
def test_cancelled_cut_does_not_outlast_a_heal(
    open_cluster: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "nft"
    slow.write_text(SLOW_NFT.format(nft=tool("nft")))
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def run() -> None:
        async with await open_cluster(2) as cluster:
            cutting = asyncio.create_task(cluster.drop({"n1": frozenset({"n2"})}))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # Once nft is asked for.
            cutting.cancel()
            await cluster.drop({})
            await cluster.command("n1", ["sleep", "0.4"])

            assert await cuts_are(cluster, set())

    asyncio.run(run())


@on_namespaces
def test_thirty_nodes_are_cut_in_halves(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(30) as cluster:
            left, right = frozenset(cluster.nodes[:15]), frozenset(cluster.nodes[15:])
            grudge = {node: right if node in left else left for node in cluster.nodes}
            await cluster.drop(grudge)
            wanted = {(source, node) for node, sources in grudge.items() for source in sources}

            assert await cuts_are(cluster, wanted)
            dropped = await cluster.dropped()
            assert set(dropped) == wanted
            assert min(dropped.values()) > 0

    asyncio.run(run())


def test_grudge_against_nobody_known_or_oneself_is_refused(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            with pytest.raises(ValueError, match="no node 'n7'"):
                await cluster.drop({"n1": frozenset({"n7"})})
            with pytest.raises(ValueError, match="itself"):
                await cluster.drop({"n1": frozenset({"n1"})})

    asyncio.run(run())


def test_dial_of_a_port_where_nobody_listens_is_refused(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            with pytest.raises(ConnectionRefusedError):
                await cluster.dial("n1", 7000, timeout_s=PATIENT_S)

    asyncio.run(run())


@on_namespaces  # The engine's proxy accepts in the place of a host that is silent.
def test_dial_of_a_host_that_does_not_answer_says_so(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            deaf = "add table inet deaf; add chain inet deaf c { type filter hook input priority 0;"
            done = await cluster.command("n1", ["nft", f"{deaf} policy drop; }}"])
            assert done.exit_status == 0, done.stderr

            with pytest.raises(TimeoutError, match="n1: no answer from port 7000"):
                await cluster.dial("n1", 7000, timeout_s=0.05)

    asyncio.run(run())


def test_more_connections_than_one_batch_of_sockets(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", listener)
            await hello(cluster, "n1")
            dials = (cluster.dial("n1", 7000, timeout_s=PATIENT_S) for _ in range(50))
            connections = await asyncio.gather(*dials)

            assert len({each.fileno() for each in connections}) == 50
            assert not any(each.get_inheritable() for each in connections)
            assert not any(each.getblocking() for each in connections)
            for each in connections:
                each.close()

    asyncio.run(run())


@pytest.mark.parametrize("stream", [1, 2])
def test_command_that_says_too_much_is_an_error_and_the_cluster_stays(
    open_cluster: Open, stream: int
) -> None:
    """A node can fill its folder with names, whose listing would fit no message."""

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            script = f"head -c 300000 /dev/zero | tr '\\0' x >&{stream}"
            with pytest.raises(OSError, match="expected an answer of at most"):
                await cluster.command("n1", ["sh", "-c", script])

            assert (await cluster.command("n1", ["echo", "here"])).stdout == "here\n"

    asyncio.run(run())
