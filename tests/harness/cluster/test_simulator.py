"""The cluster of a simulator, and the conversation with it, on one that is a fake."""

import asyncio
import re
import struct
import sys
from pathlib import Path

import pytest

from dissever.harness import clock
from dissever.harness.cluster import (
    Allocations,
    ClientLinks,
    Cluster,
    ClusterEnded,
    ClusterLost,
    DiskErrorKind,
    DiskFaults,
    DiskRule,
    Ends,
    Impairment,
    Impairments,
    Links,
    NodeProcesses,
    NodeState,
    NodeTimes,
    Reseeds,
    Traced,
)
from dissever.harness.cluster.simulator import SimulatorLost, answers, frames, simulated
from dissever.harness.cluster.simulator.frames import Change, Kind
from dissever.harness.cluster.simulator.process import SimulatorProcess
from dissever.harness.trace import Trace
from dissever.native import simulation

FAKE = (sys.executable, str(Path(__file__).with_name("fake_simulator.py")))
NODES = ("n1", "n2", "n3")
ABILITIES = (
    Cluster,
    NodeProcesses,
    Links,
    Impairments,
    DiskFaults,
    NodeTimes,
    Allocations,
    ClientLinks,
    Reseeds,
    Traced,
    Ends,
)

ELEMENTS = 4


class Answers(asyncio.Protocol):
    """A client that asks for one thing at a time."""

    def connection_made(self, transport):
        self.transport = transport
        self.answer = None
        self.lost = asyncio.get_running_loop().create_future()

    async def ask(self, function, fields=b""):
        self.answer = asyncio.get_running_loop().create_future()
        body = struct.pack("<IB", 1, function) + fields
        self.transport.write(struct.pack("<I", len(body)) + body)
        return await self.answer

    def data_received(self, data):
        self.answer.set_result(data[8:])

    def connection_lost(self, error):
        self.lost.set_result(error)
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or EOFError())


@pytest.fixture
def simulate(tmp_path):
    """Runs a coroutine function of a cluster whose nodes have started, on the virtual clock."""

    def simulate(work, *arguments, settings=None, seed=1):
        async def main():
            argv = (*FAKE, *arguments)
            opened = simulated(
                argv, NODES, tmp_path, seed=seed, settings=settings or {}, trace=Trace()
            )
            async with opened as cluster:
                for node in NODES:
                    await cluster.start(node)
                return await work(cluster)

        return clock.run(main(), is_virtual=True)

    return simulate


def test_kinds_of_frames_are_those_of_the_contract() -> None:
    header = (Path(simulation.__file__).parent / "frames.h").read_text()
    named = {name: int(number) for name, number in re.findall(r"FRAME_(\w+) = (\d+),", header)}

    assert named == {kind.name: int(kind) for kind in Kind}


def test_a_simulator_runs_as_many_servers_as_the_harness_allows() -> None:
    header = (Path(simulation.__file__).parent / "options.h").read_text()

    assert f"SERVERS_MAX = {frames.SERVERS_MAX}," in header


def test_a_simulator_has_every_ability_of_simulated_hosts(simulate) -> None:
    async def work(cluster):
        return [each.__name__ for each in ABILITIES if not isinstance(cluster, each)]

    assert simulate(work) == []


def test_bytes_go_to_a_node_and_back_in_virtual_time(simulate) -> None:
    async def work(cluster):
        _, client = await cluster.connect("n1", Answers, 1.0)
        await client.ask(1, struct.pack("<Iq", 7, 42))
        answer = await client.ask(0, struct.pack("<I", 7))
        return answer, asyncio.get_running_loop().time()

    answer, time_s = simulate(work)

    assert answer == b"\0" + struct.pack("<Bq", 1, 42)
    assert 0.005 * 0.5 < time_s < 0.005 * 3


def test_two_simulations_of_one_seed_are_the_same_and_another_seed_is_another(simulate) -> None:
    async def work(cluster):
        async def client(number):
            _, own = await cluster.connect("n1", Answers, 1.0)
            for value in range(20):
                await own.ask(3, struct.pack("<q", 100 * number + value))
                times.append(asyncio.get_running_loop().time())
            return await own.ask(ELEMENTS)

        times: list[float] = []
        read = await asyncio.gather(*(client(number) for number in range(4)))
        return times, read

    assert simulate(work) == simulate(work)
    assert simulate(work) != simulate(work, seed=2)


def test_a_node_that_does_not_run_refuses_connections_and_a_killed_one_resets_them(
    simulate,
) -> None:
    async def work(cluster):
        _, client = await cluster.connect("n2", Answers, 1.0)
        status = await cluster.kill("n2")
        assert isinstance(await client.lost, ConnectionResetError)
        with pytest.raises(ConnectionRefusedError):
            await cluster.connect("n2", Answers, 1.0)
        return status, cluster.exits

    status, (end,) = simulate(work)

    assert (status.state, status.exit_status, status.pid) == (NodeState.GONE, -9, None)
    assert (end.node, end.incarnation, end.exit_status, end.is_asked) == ("n2", 1, -9, True)


def test_a_node_that_is_stopped_ends_and_can_be_started_again(simulate) -> None:
    async def work(cluster):
        stopped = await cluster.stop("n1", 1.0)
        started = await cluster.start("n1")
        return stopped, started

    stopped, started = simulate(work)

    assert (stopped.state, stopped.exit_status) == (NodeState.GONE, 0)
    assert (started.state, started.incarnation) == (NodeState.RUNNING, 2)


def test_cuts_and_probes_are_seen_in_one_direction_alone(simulate) -> None:
    async def work(cluster):
        await cluster.drop({"n2": frozenset({"n1"})})
        reached = await cluster.reach([("n1", "n2"), ("n2", "n1")], 0.5)
        return reached, await cluster.dropped()

    assert simulate(work) == (
        {("n1", "n2"): False, ("n2", "n1"): True},
        {("n1", "n2"): 1},
    )


def test_what_a_cut_drops_between_a_client_and_a_node_is_sent_again_when_it_heals(simulate) -> None:
    async def work(cluster):
        loop = asyncio.get_running_loop()
        _, client = await cluster.connect("n1", Answers, 1.0)
        await client.ask(3, struct.pack("<q", 1))
        took = []
        for to_node, from_node in ((True, False), (False, True)):
            await cluster.cut_clients("n1", to_node=to_node, from_node=from_node)
            asked = asyncio.ensure_future(client.ask(3, struct.pack("<q", 2)))
            with pytest.raises(TimeoutError):
                await cluster.connect("n1", Answers, 0.5)
            began, dropped = loop.time(), await cluster.client_drops("n1")
            await cluster.cut_clients("n1", to_node=False, from_node=False)
            assert await asked == b"\0"
            took.append((dropped > 1, loop.time() - began < 0.1))
        return took, await cluster.client_drops("n1"), await client.ask(ELEMENTS)

    took, dropped, elements = simulate(work)

    assert took == [(True, True), (True, True)]
    assert dropped is None
    assert elements[1:5] == struct.pack("<I", 3)


def test_connections_of_clients_are_reset_on_one_node_alone(simulate) -> None:
    async def work(cluster):
        opened = [(await cluster.connect(node, Answers, 1.0))[1] for node in ("n1", "n2")]
        fate = asyncio.ensure_future(cluster.client_fate("n1", 1.0))
        await asyncio.sleep(0.5)
        count = await cluster.reset_clients("n1")
        error = await opened[0].lost
        other = await cluster.client_fate("n2", 1.0)
        return count, type(error), opened[1].lost.done(), await fate, other

    assert simulate(work) == (2, ConnectionResetError, False, "reset", "open")


def test_counts_of_links_begin_with_their_impairment(simulate) -> None:
    async def work(cluster):
        await cluster.reach([("n1", "n2")], 0.5)
        await cluster.impair({("n1", "n2"): Impairment(loss=0.5)})
        before = await cluster.traffic()
        delays = await cluster.probe([("n1", "n2")], 3, 1.0)
        after = await cluster.traffic()
        await cluster.impair({})
        return before, len(delays["n1", "n2"]), after, await cluster.traffic()

    before, arrived, after, healed = simulate(work)

    assert (before["n1", "n2"].sent, arrived, after["n1", "n2"].sent, healed) == (0, 3, 3, {})


def test_disks_clocks_and_memory_answer_what_was_set(simulate) -> None:
    async def work(cluster):
        await cluster.set_disk_rule("n1", "slow", DiskRule(DiskErrorKind.SLOW, ms=50))
        hits = await cluster.disk_hits("n1")
        await cluster.set_disk_rule("n1", "slow", None)
        await cluster.turn_clock("n3", 2.0, 1.5)
        await asyncio.sleep(2)
        await cluster.fail_allocation("n2", 10)
        lost = await cluster.fail_power("n2")
        return (
            hits,
            await cluster.disk_hits("n1"),
            await cluster.clock_offset_s("n3"),
            await cluster.failed_allocations("n2"),
            lost,
        )

    assert simulate(work) == ({"slow": 3}, {}, 3.0, 1, {"lost": 2, "kept": 1})


def test_a_change_of_members_that_is_not_done_says_why(simulate) -> None:
    async def work(cluster):
        await cluster.change("n1", Change.TRANSFER, "n2")
        with pytest.raises(OSError, match="n2 did not remove n3: not leader"):
            await cluster.change("n2", Change.REMOVE, "n3")

    simulate(work)


def test_what_the_simulator_tells_of_itself_is_in_the_trace(simulate) -> None:
    async def work(cluster):
        await asyncio.sleep(1)
        await cluster.kill("n1")
        await asyncio.sleep(1)
        return cluster.trace.content(0)

    assert simulate(work) == b'{"time":1000000000,"kind":"note","node":null,"text":"killed"}\n'


def test_the_trace_has_the_names_of_the_nodes(tmp_path) -> None:
    nodes, trace = ("db-a", "n1", "n3"), Trace()

    async def main():
        opened = simulated(FAKE, nodes, tmp_path, seed=1, settings={}, trace=trace)
        async with opened as cluster:
            return cluster._world.named(b'{"time":1,"from":"n1","to":"n2","text":"n3 and n4, nn1"}')

    said = clock.run(main(), is_virtual=True)

    assert said == b'{"time":1,"from":"db-a","to":"n1","text":"n3 and n4, nn1"}'


def test_settings_that_the_simulator_refuses_are_named(simulate) -> None:
    async def work(cluster):
        pass

    with pytest.raises(SimulatorLost, match="refuses: expected a number for election_ms"):
        simulate(work, settings={"election_ms": "bad"})


def test_nothing_that_ever_happens_is_said_and_not_waited_for(simulate) -> None:
    async def work(cluster):
        await asyncio.get_running_loop().create_future()

    with pytest.raises(clock.NothingWillHappen):
        simulate(work)


async def asks(cluster):
    """Asks twice; the cluster ends at the second time."""
    _, client = await cluster.connect("n1", Answers, 1.0)
    await client.ask(3, struct.pack("<q", 1))
    with pytest.raises(ConnectionResetError):
        await client.ask(3, struct.pack("<q", 2))
    end = await cluster.end()
    with pytest.raises(type(end)):
        await cluster.status("n1")
    await asyncio.sleep(1)  # Time goes on without it.
    return end


def test_a_crash_of_the_system_ends_the_cluster_and_its_last_words_are_kept(
    simulate, tmp_path
) -> None:
    exits = []

    async def work(cluster):
        end = await asks(cluster)
        exits.extend(cluster.exits)
        return end

    end = simulate(work, "--crash", "2")

    assert isinstance(end, ClusterEnded)
    assert str(end) == "the simulation ended with n1, which crashed (SIGABRT)"
    assert [(each.node, each.exit_status, each.is_asked) for each in exits] == [("n1", -6, False)]
    assert "Assertion `fine' failed" in (tmp_path / "n1" / "stderr-1.log").read_text()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("--quit", "the simulator: it ended with exit status 7"),
        ("--garbage", "the simulator: it sent a frame of 4,294,967,295 bytes"),
    ],
)
def test_a_simulator_that_breaks_the_conversation_accuses_nobody(simulate, how, why) -> None:
    async def work(cluster):
        end = await asks(cluster)
        return end, cluster.exits

    end, exits = simulate(work, how, "2")

    assert type(end) is SimulatorLost
    assert str(end).startswith(why)
    assert exits == ()


def test_a_simulator_that_says_nothing_is_stuck(tmp_path) -> None:
    process = SimulatorProcess(("sleep", "100"), tmp_path / "log", silence_s=0.05)
    try:
        with pytest.raises(SimulatorLost, match=r"it is stuck: it said nothing for 0\.05 s"):
            process.ask(frames.begin(1, 3, {}), answers.Ready)
    finally:
        process._process.kill()
        process.close()


def test_a_simulator_that_is_no_program_is_an_error_of_the_machine(tmp_path) -> None:
    with pytest.raises(OSError, match="No such file"):
        SimulatorProcess((str(tmp_path / "none"),), tmp_path / "log")


BODIES = {
    "nothing": b"",
    "unknown kind": b"\x00",
    "what the harness says": bytes([Kind.ADVANCE]) + bytes(8),
    "cut": bytes([Kind.NOW]) + bytes(5),
    "too long": bytes([Kind.NOW]) + bytes(10),
    "text past the end": bytes([Kind.REFUSED]) + b"\xff\xffabc",
    "blob past the end": bytes([Kind.RECEIVED]) + bytes(12) + b"\xff\xff\xff\xff",
    "no such reason": bytes([Kind.CLOSED]) + bytes(12) + b"\x09",
    "more links than there are": bytes([Kind.TRAFFIC]) + b"\xff\xff",
    "no such role": bytes([Kind.SERVER, 1, 0, 0, 0, 0, 9]) + bytes(70),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_frame_of_a_simulator_is_refused(body: bytes) -> None:
    with pytest.raises(answers.BadFrame):
        answers.decoded(body)


def test_cluster_lost_is_what_both_ends_are() -> None:
    assert issubclass(ClusterEnded, ClusterLost)
    assert issubclass(SimulatorLost, ClusterLost)
    assert not issubclass(SimulatorLost, ClusterEnded)
