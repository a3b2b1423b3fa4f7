"""Each fault of Toxiproxy on links of a real kernel, seen by the nodes themselves as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, Program, engine
from dissever.harness.cluster.containers import ContainersCluster
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.nemesis import FAULTS, Environment, make_nemeses
from dissever.nemesis.connections.toxic import FAULTS as TOXICS
from dissever.nemesis.toxiproxy import server
from tests.nemesis.echo import PORT, SERVER

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("proxies_work")]

NODES = ("n1", "n2", "n3")
DELAY_S = 0.149
"""What is asked for in these tests, less a tick of a timer."""

ASK = """
import socket, sys, time
try:
    connection = socket.create_connection((sys.argv[1], 7000), 2.0)
    began = time.monotonic()
    connection.sendall(b"x")
    connection.settimeout(1.0)
    print("echo" if connection.recv(1) else "closed", time.monotonic() - began)
except TimeoutError:
    print("none", 1)
except ConnectionError:
    print("reset", 0)
"""
"""Asks another node, as any process of a node would: it knows nothing of proxies."""

HANG = """
here=$(readlink /proc/self/ns/net)
for each in /proc/[0-9]*; do
  if [ "$(readlink $each/ns/net)" = "$here" ] && [ "$(readlink $each/exe)" = "$1" ]; then
    exec kill -STOP ${each#/proc/}
  fi
done
exit 1
"""
"""Stops the program of that path on the host it runs on."""


class Deployment:
    def __init__(self, cluster: Cluster, *faults: str) -> None:
        environment = Environment(cluster, self, 1, peer_ports=(PORT,))
        self.cluster = cluster
        self.nemeses = make_nemeses(faults, environment)

    async def primaries(self) -> tuple[str, ...]:
        return ("n2",)

    async def start(self, fault: str, value: Any) -> Completion:
        invocation = Invocation(f"start-{fault}", value, process=fault)
        return await self.nemeses[fault].invoke(invocation)

    async def stop(self, fault: str) -> Completion:
        return await self.nemeses[fault].invoke(Invocation(f"stop-{fault}", process=fault))

    async def ask(self, source: str, destination: str) -> tuple[str, float]:
        """What the source is answered by the destination, and after how long, in s."""
        address = self.cluster.address(destination)
        argv = [self.cluster.python, "-I", "-S", "-c", ASK, address]
        answer, taken_s = (await self.cluster.command(source, argv)).stdout.split()
        return answer, float(taken_s)

    async def is_fast(self, source: str, destination: str, within_s: float = DELAY_S) -> bool:
        """Whether an answer ever comes so soon, as on a busy machine not each one does."""
        asks = [(await self.ask(source, destination)) for _ in range(3)]
        while min(taken_s for _, taken_s in asks) >= within_s and len(asks) < 20:
            asks.append(await self.ask(source, destination))
        return any(answer == "echo" and taken_s < within_s for answer, taken_s in asks)


Work = Callable[[Deployment], Awaitable[None]]


@pytest.fixture(scope="module")
def proxies_work() -> None:
    for missing in (probe(), server.find()):
        if missing is not None and not isinstance(missing, Path):
            pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """Where nodes run: in namespaces unless the test says otherwise."""
    name = str(getattr(request, "param", "namespaces"))
    if name == "containers" and (missing := engine.probe()):
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    return name


@pytest.fixture
def with_nodes(tmp_path: Path, backend: str) -> Callable[..., None]:
    """Run a test on three nodes that answer each other, and with some faults."""

    async def opened() -> NamespacesCluster | ContainersCluster:
        if backend == "containers":
            return await ContainersCluster.open(NODES, tmp_path, ports=[])
        return await NamespacesCluster.open(NODES, tmp_path)

    async def main(work: Work, faults: tuple[str, ...]) -> None:
        async with await opened() as cluster:
            program = Program([cluster.python, "-I", "-S", "-c", SERVER], {})
            await asyncio.gather(*(cluster.start(node, program) for node in NODES))
            deployment = Deployment(cluster, *faults)
            await deployment.nemeses[faults[0]].prepare()  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                while (await deployment.ask("n1", "n2"))[0] != "echo":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await work(deployment)

    return lambda work, *faults: asyncio.run(main(work, faults))


SEEN = {
    "latency": ({"delay_ms": 150, "jitter_ms": 0}, "echo"),
    "bandwidth": ({"rate_kb_s": 10}, "echo"),
    "slicer": ({"slice_bytes": 16, "delay_ms": 5}, "echo"),
    "slow-close": ({"delay_ms": 100}, "echo"),
    "reset": ({"after_ms": 0}, "reset"),
    "limit": ({"limit_bytes": 0}, "closed"),
    "timeout": ({"after_ms": 50}, "closed"),
    "black-hole": ({}, "none"),
}
"""Fault -> what it is told, and what a node is answered then."""


@pytest.mark.parametrize(
    "backend",
    ["namespaces", pytest.param("containers", marks=pytest.mark.docker)],
    indirect=True,
)
def test_every_toxic_takes_hold_and_heals_and_nodes_notice(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        for fault, (told, answer) in SEEN.items():
            value = {"spec": "leader", "way": "out", **told}
            started = await at.start(fault, value)
            asked = await at.ask("n2", "n1")
            other, _ = await at.ask("n1", "n3")
            stopped = await at.stop(fault)
            is_fast = await at.is_fast("n2", "n1")

            assert started.value["evidence"]["held"] is True, started.value
            assert started.value["targets"] == ["n2"]
            assert asked[0] == answer, fault
            if fault == "latency":
                assert asked[1] >= DELAY_S
            assert other == "echo"
            assert stopped.value["evidence"]["healed"] is True, stopped.value
            assert is_fast
            packets = stopped.value["evidence"]["packets"]["n2->n1"]
            assert packets["asked"] > 0 == packets["past"]

    assert SEEN.keys() == {fault.name for fault in TOXICS}
    with_nodes(work, *SEEN)


def test_a_direction_is_that_of_the_data_whoever_connected(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        value = {"targets": ["n1"], "way": "in", "delay_ms": 150, "jitter_ms": 0}
        started = await at.start("latency", value)
        # One delay each: on the answer to what n1 asks, and on what n2 asks n1.
        times = [(await at.ask(*pair))[1] for pair in (("n1", "n2"), ("n2", "n1"))]
        is_once = await at.is_fast("n1", "n2", within_s=2 * DELAY_S)
        is_fast = await at.is_fast("n2", "n3")

        assert started.value["evidence"]["links"] == 2
        assert min(times) >= DELAY_S, times
        assert is_once
        assert is_fast

    with_nodes(work, "latency")


def test_a_server_that_hangs_is_replaced_and_has_the_other_faults_again(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        await at.start("latency", {"spec": "all", "delay_ms": 150, "jitter_ms": 0})
        await at.start("slow-close", {"spec": "all", "delay_ms": 100})
        hung = await at.cluster.command("n1", ["sh", "-c", HANG, "sh", str(server.find())])
        stopped = await at.stop("slow-close")
        _, still_s = await at.ask("n1", "n2")
        healed = await at.stop("latency")

        assert stopped.value["evidence"]["healed"] is True, stopped.value
        assert hung.exit_status == 0, hung.stderr
        assert stopped.value["evidence"]["servers_replaced"] == {"n1": 1}
        assert still_s >= 0.299
        assert healed.value["evidence"]["healed"] is True, healed.value

    with_nodes(work, "latency", "slow-close")


def test_teardown_leaves_no_toxic_and_overlaps_with_a_partition(
    with_nodes: Callable[..., None],
) -> None:
    async def work(at: Deployment) -> None:
        cut = await at.start("partition", {"spec": "one", "seed": 1})
        slow = await at.start("latency", {"spec": "all", "delay_ms": 150, "jitter_ms": 0})
        for nemesis in at.nemeses.values():
            await nemesis.heal()
            await nemesis.heal()
        is_fast = await at.is_fast("n1", "n2")

        assert cut.value["evidence"]["held"] is True, cut.value
        assert slow.value["evidence"]["held"] is True, slow.value
        assert is_fast

    assert list(FAULTS).index("partition") < list(FAULTS).index("latency")  # Cuts heal first.
    with_nodes(work, "latency", "partition")


def test_settings_that_there_are_not_are_refused(with_nodes: Callable[..., None]) -> None:
    async def work(at: Deployment) -> None:
        with pytest.raises(ValueError, match="jitter_ms or toxicity, got dely_ms"):
            await at.start("latency", {"dely_ms": 5})
        with pytest.raises(ValueError, match="jitter_ms below"):
            await at.start("latency", {"delay_ms": 5, "jitter_ms": 5})
        with pytest.raises(ValueError, match=r"toxicity from 0\.01 to 1"):
            await at.start("latency", {"toxicity": 7})

    with_nodes(work, "latency")
