"""Clients cut off from nodes, and connections of theirs that are reset: the rules, and for real."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, Program, backends
from dissever.harness.cluster.containers import ContainersCluster
from dissever.harness.cluster.namespaces import NamespacesCluster
from dissever.nemesis import (
    FAULTS,
    Backend,
    Environment,
    healing_order,
    host_commands,
    make_nemeses,
)
from dissever.nemesis.clients import network
from dissever.nemesis.targets import Way
from tests.nemesis.echo import PORT, SERVER

NODES = ("n1", "n2", "n3")

ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), 1) as connection:
    connection.sendall(b"x")
    print(connection.recv(1).decode())
"""


def test_only_clients_are_dropped_and_each_way_by_itself() -> None:
    both = network.ruleset(Way.BOTH, [9001, 9002], ["10.0.0.1", "10.0.0.2"])
    into = network.ruleset(Way.IN, [9001], ["10.0.0.1"])
    out = network.ruleset(Way.OUT, [9001], ["10.0.0.1"])

    heard = "ip saddr != { 10.0.0.1, 10.0.0.2 } tcp dport { 9001, 9002 } counter drop"
    told = "ip daddr != { 10.0.0.1, 10.0.0.2 } tcp sport { 9001, 9002 } counter drop"
    assert heard in both
    assert told in both
    assert "hook input" in into
    assert "hook output" not in into
    assert "hook output" in out
    assert "hook input" not in out


def test_only_connections_of_clients_are_ended() -> None:
    assert network.resetting([9001], ["10.0.0.1", "10.0.0.2"])[-1] == (
        "( sport = :9001 ) and not ( dst 10.0.0.1 or dst 10.0.0.2 )"
    )


def test_clients_are_there_again_before_anything_asks_a_node_whether_it_answers() -> None:
    order = [fault.name for fault in healing_order(["pause", "client-reset", "client-cut"])]

    assert order.index("client-cut") < order.index("pause")
    assert order.index("client-reset") < order.index("pause")


class Deployment:
    def __init__(self, cluster: Cluster, *faults: str) -> None:
        self.cluster = cluster
        environment = Environment(cluster, None, 1, answers=self.answers, client_ports=(PORT,))
        self.nemeses = make_nemeses(faults, environment)

    async def answers(self, node: str) -> bool:
        try:
            async with asyncio.timeout(0.5):
                with await self.cluster.dial(node, PORT, 0.5) as connection:
                    return await self.echoes(connection)
        except (OSError, TimeoutError):
            return False

    async def echoes(self, connection: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, b"x")
        return await loop.sock_recv(connection, 1) == b"x"

    async def do(self, f: str, value: Any = None) -> Completion:
        fault = f.removeprefix("start-").removeprefix("stop-").replace("resume", "pause")
        return await self.nemeses[fault].invoke(Invocation(f, value, process=fault))

    async def peers_talk(self, source: str, destination: str) -> bool:
        argv = [self.cluster.python, "-I", "-S", "-c", ASK, self.cluster.address(destination)]
        return (await self.cluster.command(source, argv)).stdout == "x\n"

    async def tables(self) -> str:
        listed = [await self.cluster.command(n, ["nft", "list", "ruleset"]) for n in NODES]
        return "".join(each.stdout for each in listed)


Work = Callable[[Deployment], Awaitable[None]]


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """Where nodes run: in namespaces unless the test says otherwise."""
    name = str(getattr(request, "param", "namespaces"))
    if missing := backends.probe(name):
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    return name


@pytest.fixture
def with_nodes(tmp_path: Path, backend: str) -> Callable[..., None]:
    """Run a test on three nodes that echo, with some faults."""

    async def opened() -> NamespacesCluster | ContainersCluster:
        if backend == "containers":
            return await ContainersCluster.open(NODES, tmp_path, ports=[PORT])
        return await NamespacesCluster.open(NODES, tmp_path)

    async def main(work: Work, faults: tuple[str, ...]) -> None:
        async with await opened() as cluster:
            program = Program([cluster.python, "-I", "-S", "-c", SERVER], {})
            await asyncio.gather(*(cluster.start(node, program) for node in NODES))
            deployment = Deployment(cluster, *faults)
            async with asyncio.timeout(20):
                for node in NODES:
                    while not await deployment.answers(node):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            await work(deployment)

    def run(work: Work, *faults: str) -> None:
        for fault in faults:
            if missing := FAULTS[fault].missing(Backend(backend)):
                pytest.skip(f"{fault}: {missing.reason} ({missing.remedy})")
        asyncio.run(main(work, faults))

    return run


@pytest.mark.cluster
@pytest.mark.parametrize("way", list(Way))
def test_a_node_that_is_cut_off_from_clients_still_has_its_peers(
    with_nodes: Callable[..., None], way: Way
) -> None:
    async def work(at: Deployment) -> None:
        cut = await at.do("start-client-cut", {"targets": ["n1"], "way": way.value})
        during = [await at.answers(node) for node in NODES]
        peers = await at.peers_talk("n1", "n2"), await at.peers_talk("n2", "n1")
        healed = await at.do("stop-client-cut")

        evidence = cut.value["evidence"]
        assert evidence["held"] is True, cut.value
        assert evidence["nodes"]["n1"]["dropped"] > 0
        assert during == [False, True, True]
        assert peers == (True, True)
        assert healed.value["evidence"]["healed"] is True, healed.value
        assert await at.answers("n1")
        assert "dissever_clients" not in await at.tables()

    with_nodes(work, "client-cut")


@pytest.mark.cluster
def test_connections_of_clients_are_reset_until_it_heals(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        with await at.cluster.dial("n1", PORT, 1) as old:
            with pytest.raises(ValueError, match="every_ms from 50 to 60000"):
                await at.do("start-client-reset", {"targets": ["n1"], "every_ms": 1})
            started = await at.do("start-client-reset", {"targets": ["n1"], "every_ms": 100})
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(5):
                    await asyncio.get_running_loop().sock_recv(old, 1)
        healed = await at.do("stop-client-reset")

        evidence = started.value["evidence"]
        assert evidence["held"] is True, started.value
        assert evidence["nodes"]["n1"]["connection"] == "reset"
        assert evidence["nodes"]["n1"]["ended"] >= 2
        assert healed.value["evidence"]["healed"] is True, healed.value

    with_nodes(work, "client-reset")


@pytest.mark.cluster
def test_a_pause_behind_a_cut_is_seen_by_the_kernel_alone(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        await at.do("start-client-cut", {"targets": ["n1"]})
        paused = await at.do("pause", {"targets": ["n1"]})
        resumed = await at.do("resume")
        for nemesis in at.nemeses.values():
            await nemesis.heal()
            await nemesis.heal()

        assert paused.value["evidence"]["held"] is True, paused.value
        assert paused.value["evidence"]["nodes"]["n1"]["answers"] is None
        assert resumed.value["evidence"]["healed"] is True, resumed.value
        assert await at.answers("n1")
        assert "dissever_clients" not in await at.tables()

    with_nodes(work, "client-cut", "pause")


@pytest.mark.cluster
def test_a_cut_that_lets_clients_through_is_no_fault(
    with_nodes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "ruleset", lambda *_: "add table inet dissever_clients")

    async def work(at: Deployment) -> None:
        cut = await at.do("start-client-cut", {"targets": ["n1"]})

        assert cut.value["evidence"]["held"] is False
        assert cut.error == "start-client-cut did not take hold"

    monkeypatch.setattr("dissever.nemesis.clients.cut.COUNTED_LIMIT_S", 0.5)
    with_nodes(work, "client-cut")


@pytest.mark.cluster
def test_a_cut_that_stays_is_no_healing(
    with_nodes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(at: Deployment) -> None:
        await at.do("start-client-cut", {"targets": ["n1"]})
        monkeypatch.setattr(network, "HEAL", "add table inet x")
        monkeypatch.setattr("dissever.nemesis.nodes.processes.ANSWER_LIMIT_S", 0.5)
        healed = await at.do("stop-client-cut")

        assert healed.value["evidence"]["healed"] is False
        assert healed.error == "stop-client-cut did not heal"

    with_nodes(work, "client-cut")


@pytest.mark.cluster
@pytest.mark.parametrize("backend", ["containers"], indirect=True)
def test_packets_and_clients_of_containers_suffer_and_heal(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        for fault in ("packet-loss", "packet-rate", "client-cut", "client-reset"):
            started = await at.do(f"start-{fault}", {"targets": ["n1"]})
            stopped = await at.do(f"stop-{fault}")

            assert started.value["evidence"]["held"] is True, started.value
            assert stopped.value["evidence"]["healed"] is True, stopped.value
        assert "dissever" not in await at.tables()

    with_nodes(work, "packet-loss", "packet-rate", "client-cut", "client-reset")


HANGS = """
import socket, sys, time
listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("0.0.0.0", 7000))
listening.listen(0)
while True:
    connection, _ = listening.accept()
    with connection:
        if connection.recv(1) == b"h":
            time.sleep(3600)
        connection.sendall(b"x")
"""
"""Answers one connection after another, until it is asked to hang."""


async def deployed(cluster: NamespacesCluster) -> Deployment:
    """Of `client-cut`, with a program on n1 that answers and can be made to hang."""
    await cluster.start("n1", Program([cluster.python, "-I", "-S", "-c", HANGS], {}))
    at = Deployment(cluster, "client-cut")
    async with asyncio.timeout(20):
        while not await at.answers("n1"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return at


async def hang(at: Deployment, node: str, *, fills_queue: bool) -> list[socket.socket]:
    """Have the node hang; connections that nobody will accept, which the caller closes."""
    connections = [await at.cluster.dial(node, PORT, 1)]
    await asyncio.get_running_loop().sock_sendall(connections[0], b"h")
    await asyncio.sleep(0.1)
    with contextlib.suppress(OSError):
        while fills_queue:
            connections.append(await at.cluster.dial(node, PORT, 0.2))
    return connections


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("way", "fills_queue", "stays"),
    [
        (Way.BOTH, False, False),
        (Way.BOTH, True, False),
        (Way.OUT, False, False),
        (Way.BOTH, False, True),
        (Way.BOTH, True, True),
        (Way.OUT, False, True),
    ],
)
def test_node_that_hangs_by_itself_is_no_cut_that_stays(
    tmp_path: Path,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
    fills_queue: bool,
    stays: bool,
) -> None:
    monkeypatch.setattr("dissever.nemesis.nodes.processes.ANSWER_LIMIT_S", 0.5)
    monkeypatch.setattr("dissever.nemesis.clients.cut.COUNTED_LIMIT_S", 1.5)

    async def main() -> None:
        async with await NamespacesCluster.open(("n1", "n2"), tmp_path) as cluster:
            at = await deployed(cluster)
            connections = await hang(at, "n1", fills_queue=fills_queue)
            cut = await at.do("start-client-cut", {"targets": ["n1"], "way": way.value})
            if stays:
                # The rules go on under another name, so nothing says that they are still there.
                rules = network.ruleset(way, [PORT], [cluster.address(n) for n in cluster.nodes])
                other = rules.replace("dissever_clients", "another")
                await host_commands.run(cluster, "n1", network.NFT, other)
            healed = await at.do("stop-client-cut")
            tables = await cluster.command("n1", ["nft", "list", "tables"])
            for connection in connections:
                connection.close()

            assert cut.value["evidence"]["held"] is True, cut.value
            seen = healed.value["evidence"]
            assert seen["nodes"]["n1"]["answers"] is False
            assert seen["healed"] is not stays, healed.value
            assert "dissever" not in tables.stdout

    asyncio.run(main())


@pytest.mark.cluster
def test_node_that_hangs_and_sends_nothing_is_left_out(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.nemesis.clients.cut.COUNTED_LIMIT_S", 1.5)

    async def main() -> None:
        async with await NamespacesCluster.open(("n1", "n2"), tmp_path) as cluster:
            at = await deployed(cluster)
            connections = await hang(at, "n1", fills_queue=True)
            cut = await at.do("start-client-cut", {"targets": ["n1"], "way": "out"})
            tables = await cluster.command("n1", ["nft", "list", "tables"])
            for connection in connections:
                connection.close()

            assert cut.value["targets"] == []
            assert cut.value["skipped"] == "n1 hangs, and sends nothing to clients"
            assert cut.value["evidence"]["held"] is None
            assert "dissever" not in tables.stdout

    asyncio.run(main())


def test_full_queue_is_one_with_more_connections_than_it_has_room_for() -> None:
    full = "LISTEN 2 1 0.0.0.0:7000 0.0.0.0:*\\n"

    assert network.is_queue_full(full)
    assert not network.is_queue_full(full.replace("2", "1", 1))
    assert not network.is_queue_full("")
