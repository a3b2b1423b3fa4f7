"""Each fault on processes and packets of a real kernel; the nodes answer whoever connects."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import NodeState, Program
from dissever.harness.cluster.namespaces import NamespacesCluster, probe
from dissever.nemesis import Environment, make_nemeses
from dissever.nemesis.partitions.grudges import PartitionSpec

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("namespaces_work")]

NODES = ("n1", "n2", "n3", "n4", "n5")
FAULTS = ("partition", "kill", "pause", "deposed-leader")
PORT = 7000
ANSWER_S = 0.3

SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 7000))
while True:
    connection, _ = server.accept()
    connection.sendall(b"here")
    connection.close()
"""


@dataclass
class Deployment:
    """Five servers, of which n2 claims to lead, and every nemesis."""

    cluster: NamespacesCluster

    def __post_init__(self) -> None:
        environment = Environment(self.cluster, self, 1, answers=self.answers)
        self.nemeses = make_nemeses(FAULTS, environment)

    async def primaries(self) -> tuple[str, ...]:
        return ("n2",)

    async def answers(self, node: str) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                with await self.cluster.dial(node, PORT, ANSWER_S) as connection:
                    loop = asyncio.get_running_loop()
                    return await loop.sock_recv(connection, 16) == b"here"
        except (OSError, TimeoutError):
            return False

    async def invoke(self, process: str, f: str, value: Any = None) -> Completion:
        return await self.nemeses[process].invoke(Invocation(f, value, process=process))

    async def reaches(self) -> set[tuple[str, str]]:
        """The links that carry a datagram now, seen without any nemesis."""
        pairs = [(a, b) for a in NODES for b in NODES if a != b]
        return {pair for pair, it in (await self.cluster.reach(pairs, 0.2)).items() if it}


Work = Callable[[Deployment], Awaitable[None]]


@pytest.fixture(scope="module")
def namespaces_work() -> None:
    missing = probe()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture
def with_nodes(tmp_path: Path) -> Callable[[Work], None]:
    """Run a test on nodes that all answer; whatever it does, they end."""

    @asynccontextmanager
    async def deployed() -> AsyncIterator[Deployment]:
        program = Program([sys.executable, "-I", "-S", "-c", SERVER], {})
        async with await NamespacesCluster.open(NODES, tmp_path) as cluster:
            await asyncio.gather(*(cluster.start(node, program) for node in NODES))
            deployment = Deployment(cluster)
            # Nothing but the nodes themselves can say that they listen: hence the exemption below.
            async with asyncio.timeout(10):
                while not all([await deployment.answers(node) for node in NODES]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            yield deployment

    async def main(work: Work) -> None:
        async with deployed() as deployment:
            await work(deployment)

    return lambda work: asyncio.run(main(work))


def test_every_shape_of_partition_cuts_these_links_and_no_others(
    with_nodes: Callable[[Work], None],
) -> None:
    async def work(at: Deployment) -> None:
        every = await at.reaches()
        for spec in PartitionSpec:
            cut = await at.invoke("partition", "start-partition", {"spec": spec, "seed": 4})
            reached = await at.reaches()
            healed = await at.invoke("partition", "stop-partition")

            grudge = cut.value["grudge"]
            gone = {(source, node) for node in grudge for source in grudge[node]}
            assert cut.value["evidence"]["held"] is True, cut.value
            assert every - reached == gone
            assert healed.value["evidence"]["healed"] is True, healed.value
            # What the test itself sent since was dropped, and counted, too.
            before, after = cut.value["evidence"]["dropped"], healed.value["evidence"]["dropped"]
            assert all(after[link] > before[link] for link in before)
        assert await at.reaches() == every

    with_nodes(work)


def test_a_killed_node_is_gone_and_comes_back_as_another_process(
    with_nodes: Callable[[Work], None],
) -> None:
    async def work(at: Deployment) -> None:
        killed = await at.invoke("kill", "kill", {"spec": "leader"})
        answered = await at.answers("n2")
        started = await at.invoke("kill", "start")

        assert killed.value["targets"] == ["n2"]
        assert killed.value["evidence"]["held"] is True, killed.value
        assert answered is False
        assert not Path(f"/proc/{killed.value['evidence']['nodes']['n2']['pid']}").exists()
        assert started.value["evidence"]["healed"] is True, started.value
        assert (await at.cluster.status("n2")).incarnation == 2

    with_nodes(work)


def test_a_paused_node_is_silent_and_the_same_process_goes_on(
    with_nodes: Callable[[Work], None],
) -> None:
    async def work(at: Deployment) -> None:
        paused = await at.invoke("pause", "pause", {"spec": "minority", "seed": 1})
        first = paused.value["targets"][0]
        stat = Path(f"/proc/{paused.value['evidence']['nodes'][first]['pid']}/stat").read_text()
        resumed = await at.invoke("pause", "resume")

        assert len(paused.value["targets"]) == 2
        assert paused.value["evidence"]["held"] is True, paused.value
        assert stat.rpartition(")")[2].split()[0] == "T"
        assert resumed.value["evidence"]["healed"] is True, resumed.value
        assert (await at.cluster.status(first)).incarnation == 1

    with_nodes(work)


def test_the_deposed_leader_wakes_while_it_is_still_cut_off(
    with_nodes: Callable[[Work], None],
) -> None:
    async def work(at: Deployment) -> None:
        every = await at.reaches()
        started = await at.invoke("deposed-leader", "start-deposed-leader")
        silent = not await at.answers("n2")
        resumed = await at.invoke("deposed-leader", "resume-deposed-leader")
        answers, reached = await at.answers("n2"), await at.reaches()
        stopped = await at.invoke("deposed-leader", "stop-deposed-leader")

        assert started.value["targets"] == ["n2"]
        assert started.value["evidence"]["held"] is True, started.value
        assert silent
        assert resumed.value["evidence"]["held"] is True, resumed.value
        assert answers  # Clients reach it,
        assert not any("n2" in pair for pair in reached)  # but no node does.
        assert stopped.value["evidence"]["healed"] is True, stopped.value
        assert await at.reaches() == every

    with_nodes(work)


def test_faults_overlap_and_teardown_heals_them_all(with_nodes: Callable[[Work], None]) -> None:
    async def work(at: Deployment) -> None:
        every = await at.reaches()
        struck = [
            await at.invoke("deposed-leader", "start-deposed-leader"),
            await at.invoke("partition", "start-partition", {"spec": "bridge", "seed": 2}),
            await at.invoke("kill", "kill", {"spec": "followers", "count": 1, "seed": 2}),
        ]
        for nemesis in at.nemeses.values():
            await nemesis.heal()

        assert all(each.value["evidence"]["held"] for each in struck), struck
        assert await at.reaches() == every
        for node in NODES:
            assert (await at.cluster.status(node)).state is NodeState.RUNNING

    with_nodes(work)


def test_a_process_that_kills_itself_first_is_no_evidence_of_a_kill(
    with_nodes: Callable[[Work], None],
) -> None:
    async def work(at: Deployment) -> None:
        await asyncio.gather(*(at.cluster.stop(node, 5.0) for node in NODES))
        killed = await at.invoke("kill", "kill", {"spec": "one"})

        assert killed.value["targets"] == []
        assert killed.value["evidence"]["held"] is None
        assert killed.error == "no node that is meant is running"

    with_nodes(work)
