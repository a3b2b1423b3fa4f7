"""The simulated network, disks and clocks: what faults do to them, from outside."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest

from dissever.harness import clock
from dissever.harness.cluster import DiskCall, DiskErrorKind, DiskRule, Impairment, NodeState
from dissever.harness.cluster.simulated import Append, Cut, Put, SimulatedCluster, SimulatedDisk

NODES = ("n1", "n2", "n3")
LINK = ("n1", "n2")
PACKETS = 400


class Listener:
    """Notes when what came, and sets a timer when it is asked to."""

    def __init__(self, name, disk, cluster):
        self.name, self.disk, self.cluster = name, disk, cluster
        self.heard = []

    def handle(self, source, request):
        if isinstance(request, float):
            self.cluster.set_timer(self.name, request, lambda: self.hear("timer"))
        elif request == "crash":
            raise LookupError("no such thing")
        else:
            self.hear(request)

    def hear(self, what):
        self.heard.append((what, asyncio.get_running_loop().time()))


@pytest.fixture
def simulate(tmp_path):
    """Runs a coroutine function of a started cluster on the virtual clock."""

    def simulate(work):
        async def main():
            cluster = SimulatedCluster(NODES, Listener, Random(1), tmp_path)
            for node in NODES:
                await cluster.start(node)
            try:
                return await work(cluster)
            finally:
                await cluster.close()

        return clock.run(main(), is_virtual=True)

    return simulate


@pytest.fixture
def impaired(simulate):
    """Sends packets over an impaired link: what came, what was counted, and the trace."""

    def impaired(impairment, gap_s=0.01):
        async def work(cluster):
            await cluster.impair({LINK: impairment})
            for number in range(PACKETS):
                cluster.post(*LINK, number)
                await asyncio.sleep(gap_s)
            await asyncio.sleep(1)
            heard = [each for each, _ in cluster.behaviour("n2").heard]
            return heard, (await cluster.traffic())[LINK], cluster.trace.lines

        return simulate(work)

    return impaired


def test_sound_link_delivers_each_packet_once(impaired) -> None:
    heard, traffic, _ = impaired(Impairment())

    assert heard == [*range(PACKETS)]
    assert traffic.sent == PACKETS
    assert traffic.lost == traffic.delayed == 0


def test_lost_packets_do_not_come_and_are_counted(impaired) -> None:
    heard, traffic, lines = impaired(Impairment(loss=0.25))

    assert traffic.sent == PACKETS
    assert 60 < traffic.lost < 140
    assert len(heard) == PACKETS - traffic.lost
    assert sum(line["kind"] == "lost" and line["why"] == "loss" for line in lines) == traffic.lost


def test_losses_come_in_bursts(impaired) -> None:
    heard, traffic, _ = impaired(Impairment(loss=0.25, burst_packets=10))
    gaps = sum(after - before > 1 for before, after in pairwise(heard))

    assert 30 < traffic.lost < 200
    assert gaps < traffic.lost / 3


def test_corrupt_packets_are_dropped_where_they_arrive(impaired) -> None:
    heard, traffic, lines = impaired(Impairment(corrupt=0.5))

    assert len(heard) == PACKETS - traffic.corrupted
    assert {line["why"] for line in lines if line["kind"] == "lost"} == {"corrupt"}


def test_duplicates_come_twice(impaired) -> None:
    heard, traffic, _ = impaired(Impairment(duplicate=0.5))

    assert len(heard) == PACKETS + traffic.duplicated
    assert 120 < traffic.duplicated < 280


def test_reordered_packets_are_overtaken(impaired) -> None:
    heard, traffic, _ = impaired(Impairment(reorder=0.2, reorder_ms=25))

    assert sorted(heard) == [*range(PACKETS)]
    assert heard != sorted(heard)
    assert 40 < traffic.reordered < 130


def test_delay_counts(impaired) -> None:
    _, traffic, lines = impaired(Impairment(delay_ms=40, jitter_ms=10))
    sent = {line["id"]: line["time"] for line in lines if line["kind"] == "send"}
    took = [line["time"] - sent[line["id"]] for line in lines if line["kind"] == "receive"]

    assert traffic.delayed == PACKETS
    assert 30e6 < min(took) < max(took) < 54e6


def test_what_does_not_fit_through_a_narrow_link_is_lost(impaired) -> None:
    heard, traffic, _ = impaired(Impairment(rate_kb_s=8, queue_ms=100), gap_s=0.001)

    assert traffic.lost > PACKETS / 2
    assert len(heard) == PACKETS - traffic.lost


def test_impairments_heal_and_unknown_links_are_refused(simulate) -> None:
    async def work(cluster):
        await cluster.impair({LINK: Impairment(loss=1)})
        cluster.post(*LINK, "lost")
        await cluster.impair({})
        cluster.post(*LINK, "heard")
        await asyncio.sleep(1)
        for link in (("n1", "n9"), ("n1", "n1")):
            with pytest.raises(ValueError, match="expected a"):
                await cluster.impair({link: Impairment()})
        with pytest.raises(ValueError, match="expected a node out of n1, n2, n3, got 'n9'"):
            await cluster.drop({"n1": frozenset({"n9"})})
        return [what for what, _ in cluster.behaviour("n2").heard], await cluster.traffic()

    assert simulate(work) == (["heard"], {})


def written(cluster, changes, call=DiskCall.APPEND, node="n1"):
    """A future of what a call on a disk reports."""
    reported = asyncio.get_running_loop().create_future()
    cluster.disk_of(node).write(call, changes, reported.set_result)
    return reported


def synced(cluster, node="n1"):
    reported = asyncio.get_running_loop().create_future()
    cluster.disk_of(node).sync(DiskCall.APPEND, lambda: reported.set_result(None))
    return reported


def test_kill_keeps_what_was_written_and_power_failure_what_was_synced(simulate) -> None:
    async def work(cluster):
        disk = cluster.disk_of("n1")
        assert await written(cluster, (Append("log", 0, (1, 2)), Put("term", 1))) is None
        await synced(cluster)
        await written(cluster, (Append("log", 1, (3, 4, 5)),))
        await written(cluster, (Cut("log", 2), Put("term", 2)))
        await cluster.kill("n1")
        killed = {name: str(value) for name, value in disk.content.items()}
        failed = await cluster.fail_power("n1")
        return killed, failed, {name: str(value) for name, value in disk.content.items()}

    killed, failed, left = simulate(work)

    assert killed == {"log": "[1, 3]", "term": "2"}
    assert failed["lost"] + failed["kept"] == 2
    assert (
        left
        == [
            {"log": "[1, 3]", "term": "2"},
            {"log": "[1, 3, 4, 5]", "term": "1"},
            {"log": "[1, 2]", "term": "1"},
        ][failed["lost"]]
    )


def test_every_number_of_unsynced_writes_can_be_lost() -> None:
    lost = set()
    for seed in range(40):
        disk = SimulatedDisk(Random(seed), lambda: 0.0)
        disk.attach(lambda *_: None)
        for number in range(3):
            disk.write(DiskCall.APPEND, (Append("log", number, (number,)),), lambda _: None)
        lost.add(disk.fail_power())
        assert disk.content["log"] == [*range(len(disk.content["log"]))]

    assert lost == {(0, 3), (1, 2), (2, 1), (3, 0)}


def test_kernel_writes_after_a_while_what_nobody_synced(simulate) -> None:
    async def work(cluster):
        await written(cluster, (Put("vote", "n2"),))
        await asyncio.sleep(6)
        return await cluster.fail_power("n1"), dict(cluster.disk_of("n1").content)

    assert simulate(work) == ({"lost": 0, "kept": 0}, {"vote": "n2"})


@pytest.mark.parametrize(
    ("kind", "message"), [("error", "Input/output error"), ("full", "No space left on device")]
)
def test_failed_call_stores_nothing_and_is_counted(simulate, kind, message) -> None:
    async def work(cluster):
        rule = DiskRule(DiskErrorKind(kind), DiskCall.METADATA)
        await cluster.set_disk_rule("n1", "bad", rule)
        error = await written(cluster, (Put("term", 7),), DiskCall.METADATA)
        fine = await written(cluster, (Append("log", 0, (1,)),))
        hits = await cluster.disk_hits("n1")
        await cluster.set_disk_rule("n1", "bad", None)
        healed = await written(cluster, (Put("term", 8),), DiskCall.METADATA)
        return str(error), fine, hits, healed, dict(cluster.disk_of("n1").content)

    error, fine, hits, healed, content = simulate(work)

    assert message in error
    assert fine is healed is None
    assert hits == {"bad": 1}
    assert content == {"log": [1], "term": 8}


def test_torn_call_stores_the_first_items_only(simulate) -> None:
    async def work(cluster):
        lengths = set()
        await cluster.set_disk_rule("n1", "torn", DiskRule(DiskErrorKind.TORN))
        for _ in range(40):
            error = await written(cluster, (Append("log", 0, (1, 2, 3)), Put("term", 1)))
            assert error is not None
            lengths.add(len(cluster.disk_of("n1").content["log"]))
            assert "term" not in cluster.disk_of("n1").content
        return lengths

    assert simulate(work) == {0, 1, 2}


def test_slow_disk_takes_longer(simulate) -> None:
    async def work(cluster):
        now = asyncio.get_running_loop().time
        await cluster.set_disk_rule("n1", "slow", DiskRule(DiskErrorKind.SLOW, ms=50))
        began_s = now()
        await written(cluster, (Put("x", 1),))
        await synced(cluster)
        return now() - began_s, await cluster.disk_hits("n1")

    took_s, hits = simulate(work)

    assert 0.1 < took_s < 0.11
    assert hits == {"slow": 2}


@pytest.mark.parametrize(
    ("offset_s", "rate", "fires_s"), [(0, 2, 6), (0, 0.5, 18), (4, 1, 6), (-4, 1, 14), (60, 1, 2)]
)
def test_timers_follow_the_clock_of_their_node(simulate, offset_s, rate, fires_s) -> None:
    async def work(cluster):
        cluster.post("n1", "n2", 10.0)
        await asyncio.sleep(2)
        await cluster.turn_clock("n2", offset_s, rate)
        before_s = await cluster.clock_offset_s("n2")
        await asyncio.sleep(20)
        ((what, time_s),) = cluster.behaviour("n2").heard
        return before_s, what, time_s

    before_s, what, time_s = simulate(work)

    assert before_s == pytest.approx(offset_s)
    assert what == "timer"
    assert time_s == pytest.approx(fires_s, abs=0.01)


def test_timers_wait_while_a_node_is_paused_and_end_with_its_process(simulate) -> None:
    async def work(cluster):
        for node in NODES:
            await cluster.request(None, node, 1.0)
        await cluster.pause("n1")
        await cluster.kill("n2")
        await cluster.start("n2")
        await asyncio.sleep(5)
        await cluster.resume("n1")
        return [cluster.behaviour(node).heard for node in NODES]

    first, second, third = simulate(work)

    assert first[0][1] > 5
    assert second == []
    assert third[0][1] < 1.1


def test_posted_messages_wait_for_a_paused_node_in_their_order(simulate) -> None:
    async def work(cluster):
        await cluster.pause("n2")
        for number in range(5):
            cluster.post("n1", "n2", number)
            await asyncio.sleep(0.01)
        await cluster.kill("n3")
        cluster.post("n1", "n3", "nobody")
        await asyncio.sleep(1)
        await cluster.resume("n2")
        lost = [line["why"] for line in cluster.trace.lines if line["kind"] == "lost"]
        return [what for what, _ in cluster.behaviour("n2").heard], lost

    assert simulate(work) == ([0, 1, 2, 3, 4], ["down"])


def test_node_that_raises_has_crashed(simulate, tmp_path) -> None:
    async def work(cluster):
        cluster.post("n1", "n2", "crash")
        await asyncio.sleep(1)
        return await cluster.status("n2"), cluster.exits

    status, (end,) = simulate(work)

    assert (status.state, status.exit_status) == (NodeState.GONE, 1)
    assert (end.node, end.is_asked) == ("n2", False)
    assert "LookupError: no such thing" in (tmp_path / "n2" / "stderr-1.log").read_text()


def test_reseeding_draws_differently_from_then_on(simulate) -> None:
    async def work(cluster):
        before = cluster.stream("network").random()
        cluster.reseed(5)
        first = cluster.stream("network").random()
        cluster.reseed(5)
        return before, first, cluster.stream("network").random()

    before, first, again = simulate(work)

    assert first == again != before


def test_end_of_a_process_hears_when_the_next_one_began(simulate) -> None:
    async def work(cluster):
        await cluster.kill("n1")
        await cluster.kill("n2")
        await asyncio.sleep(2)
        await cluster.start("n1")
        await cluster.start("n1")
        await asyncio.sleep(1)
        await cluster.kill("n1")
        return cluster.exits

    first, left, last = simulate(work)

    assert first.next_ns - first.time_ns >= 2_000_000_000
    assert last.time_ns - first.next_ns >= 1_000_000_000
    assert (left.next_ns, last.next_ns) == (None, None)
