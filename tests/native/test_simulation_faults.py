"""Each fault of the simulator takes hold, is seen from outside, and ends."""

from __future__ import annotations

import pytest

from . import simulator_driver as frames
from .simulator_driver import NS_PER_MS, Client, elected, simulator


def test_what_was_acknowledged_survives_the_power_failure_of_all() -> None:
    cluster, client = elected()
    with cluster:
        for value in range(40):
            assert client.write(value % 3, value)
        for node in range(3):
            cluster.kill(node, power=True)
        cluster.start()
        client.connect(cluster.await_leader())

        assert [client.read(key) for key in range(3)] == [39, 37, 38]
        assert [cluster.look(node).incarnation for node in range(3)] == [2, 2, 2]
        assert not cluster.violations


def test_unsynced_writes_are_lost_when_the_power_fails_and_a_part_of_them_when_killed() -> None:
    def crashed(seed: int, power: bool) -> tuple[int, int]:
        cluster, client = elected(seed, disk_us_min=50000, disk_us_max=50000)
        with cluster:
            leader = cluster.await_leader()
            for value in range(10):
                client.ask(frames.WRITE, "Iq", 1, value)
            cluster.run(5)
            return cluster.kill(leader, power=power)

    by_power = [crashed(seed, True) for seed in range(3)]
    by_kill = [crashed(seed, False) for seed in range(12)]

    assert all(lost > 0 and kept == 0 for lost, kept in by_power)
    assert {kept for _, kept in by_kill} > {0}


def test_a_paused_server_does_nothing_and_catches_up() -> None:
    cluster, client = elected()
    with cluster:
        follower = (cluster.await_leader() + 1) % 3
        cluster.do(frames.PAUSE, "B", follower)
        before = cluster.look(follower)
        for value in range(5):
            assert client.write(1, value)
        paused = cluster.look(follower)
        cluster.do(frames.RESUME, "B", follower)
        cluster.run(200)

        assert paused.running == 2
        assert paused.applied == before.applied
        assert cluster.look(follower).applied >= before.applied + 5


def test_a_paused_server_s_kernel_accepts_and_its_process_answers_later() -> None:
    cluster, _ = elected()
    with cluster:
        leader = cluster.await_leader()
        cluster.do(frames.PAUSE, "B", leader)
        other = Client(cluster)
        is_connected = other.connect(leader)
        answer = other.call(frames.LOCAL_READ, "I", 1, limit_ms=100)
        cluster.do(frames.RESUME, "B", leader)
        cluster.run(50)

        assert is_connected
        assert answer is None
        assert [kind for kind, _, _ in cluster.said] == [frames.RECEIVED]


def test_a_cut_holds_in_one_direction_alone() -> None:
    with simulator() as cluster:
        cluster.cut((0, 1))
        for source, destination in [(0, 1), (1, 0), (0, 2)]:
            cluster.do(frames.PROBE, "BB", source, destination)
        cluster.run(100)
        arrived = {fields.take("BB") for kind, _, fields in cluster.said if kind == frames.ARRIVED}

        assert arrived == {(1, 0), (0, 2)}
        assert cluster.traffic() == {(0, 1): (1, 0, 0, 0, 0, 0, 1)}


@pytest.mark.parametrize(
    ("impairment", "column", "share"),
    [
        ((0.3, 1, 0, 0, 0, 0, 0, 0, 0, 400), 1, 0.3),
        ((0.3, 5, 0, 0, 0, 0, 0, 0, 0, 400), 1, 0.3),
        ((0, 1, 0, 0, 0.3, 0, 0, 0, 0, 400), 2, 0.3),
        ((0, 1, 0, 0, 0, 0.3, 40, 0, 0, 400), 3, 0.3),
        ((0, 1, 0, 0, 0, 0, 0, 0.3, 0, 400), 4, 0.3),
        ((0, 1, 20, 5, 0, 0, 0, 0, 0, 400), 5, 1.0),
    ],
)
def test_an_impairment_strikes_its_share_of_packets(
    impairment: tuple[float, ...], column: int, share: float
) -> None:
    with simulator() as cluster:
        cluster.impair({(0, 1): impairment})
        for _ in range(1000):
            cluster.do(frames.PROBE, "BB", 0, 1)
        cluster.run(2000)
        traffic = cluster.traffic()[0, 1]
        times = [time for kind, time, _ in cluster.said if kind == frames.ARRIVED]

        assert traffic[0] == 1000
        assert traffic[column] == pytest.approx(1000 * share, abs=100)
        assert len(times) == 1000 - traffic[1] + traffic[2] - traffic[4]


def test_a_datagram_that_looks_for_cuts_passes_all_else() -> None:
    with simulator() as cluster:
        cluster.cut((0, 2))
        cluster.impair({(0, 1): (1.0, 1, 0, 0, 0, 0, 0, 0, 0, 400)})
        for destination in (1, 2):
            cluster.do(frames.REACH, "BB", 0, destination)
        cluster.run(300)
        arrived = [fields.take("BB") for kind, _, fields in cluster.said if kind == frames.ARRIVED]

        assert arrived == [(0, 1)]
        assert cluster.traffic()[0, 2] == (0, 0, 0, 0, 0, 0, 1)


def test_a_rate_spaces_packets_and_a_full_queue_drops_them() -> None:
    with simulator() as cluster:
        cluster.impair({(0, 1): (0, 1, 0, 0, 0, 0, 0, 0, 100, 50)})  # 1000 B take 10 ms.
        for _ in range(10):
            cluster.do(frames.PROBE, "BB", 0, 1)
        cluster.run(1000)
        times = [time for kind, time, _ in cluster.said if kind == frames.ARRIVED]

        assert len(times) == 6
        assert 50 * NS_PER_MS <= times[-1] - times[0] + 10 * NS_PER_MS <= 70 * NS_PER_MS
        assert cluster.traffic()[0, 1][1] == 4


@pytest.mark.parametrize(("kind", "call"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
def test_a_disk_fails_as_its_rule_says_and_hits_are_counted(kind: int, call: int) -> None:
    cluster, client = elected(pre_vote=0)
    with cluster:
        follower = (cluster.await_leader() + 1) % 3
        cluster.rule(follower, "bad", kind, call)
        if call == 2:
            cluster.isolate(follower)  # It asks for votes, and cannot store its own.
        for value in range(40):
            client.write(1, value)
        cluster.run(1000)
        hits = cluster.do(frames.DISK_HITS, "B", follower)
        assert hits.take("H") == 1
        assert hits.text() == "bad"
        assert hits.take("Q") > 0
        cluster.rule(follower, "bad", on=False)
        assert cluster.do(frames.DISK_HITS, "B", follower).take("H") == 0


def test_a_slow_disk_delays_and_loses_nothing() -> None:
    cluster, client = elected()
    with cluster:
        for node in range(3):
            cluster.rule(node, "slow", 0, 1, ms=100)
        begun = cluster.now
        assert client.write(1, 1)
        assert 100 * NS_PER_MS <= cluster.now - begun < 250 * NS_PER_MS


def test_a_clock_that_goes_fast_asks_for_votes_first_and_its_offset_is_measured() -> None:
    for seed in range(5):
        with simulator(seed) as cluster:
            cluster.do(frames.CLOCK, "Bdd", 1, 2.5, 10.0)
            cluster.start()
            cluster.run(100)
            offset = cluster.do(frames.CLOCK_LOOK, "B", 1).take("d")

            assert cluster.leader() == 1
            assert offset == pytest.approx(2.5 + 0.1 * 9)


def test_members_leave_come_back_and_leadership_is_handed_over() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        member = (leader + 1) % 3

        def change(number: int, what: int, role: int = 0) -> int:
            cluster.do(frames.CHANGE, "IBBBB", number, leader, what, member, role)
            cluster.run(1500)
            found = [
                fields.take("II") for kind, _, fields in cluster.said if kind == frames.CHANGED
            ]
            assert [done for done, _ in found] == [number]
            cluster.said.clear()
            return found[0][1]

        removed, without = change(1, 1), cluster.look(leader).members
        added = change(2, 0), change(3, 2, 1)
        client.write(1, 1)
        handed_over = change(4, 3)

        assert (removed, added, handed_over) == (0, (0, 0), 0)
        assert sorted(without) == sorted({0, 1, 2} - {member})
        assert cluster.leader() == member
        assert cluster.look(member).members == {0: 1, 1: 1, 2: 1}


def test_a_change_is_answered_when_its_process_ends() -> None:
    cluster, _ = elected()
    with cluster:
        leader = cluster.await_leader()
        cluster.isolate(leader)
        cluster.do(frames.CHANGE, "IBBBB", 1, leader, 1, (leader + 1) % 3, 0)
        cluster.run(1)
        cluster.kill(leader)
        cluster.run(1)

        (answer,) = [fields for kind, _, fields in cluster.said if kind == frames.CHANGED]
        assert answer.take("II") == (1, 0xFFFFFFFF)
        assert answer.text() == "the process ended"


def test_a_server_that_is_wiped_is_another_one_with_an_empty_disk() -> None:
    cluster, client = elected()
    with cluster:
        client.write(1, 1)
        node = (cluster.await_leader() + 1) % 3
        answer, why = cluster.ask(frames.WIPE, bytes([node]))
        cluster.kill(node)
        cluster.do(frames.WIPE, "B", node)
        look = cluster.look(node)

        assert (answer, why.text()) == (frames.REFUSED, "the server runs")
        assert (look.term, look.last, look.first) == (0, 0, 1)


def test_an_allocation_fails_once_and_is_counted() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        assert client.write(1, 0)
        cluster.do(frames.ALLOCATION, "BQ", leader, 1)
        first = client.call(frames.WRITE, "Iq", 1, 1)
        failed = cluster.do(frames.ALLOCATIONS, "B", leader).take("Q")
        second = client.write(1, 2)

        assert first is not None
        assert (first[0], first[1].take("H")) == (1, 1)
        assert failed == 1
        assert second


def test_a_server_that_is_asked_to_end_does_so_with_status_0() -> None:
    cluster, client = elected()
    with cluster:
        leader = cluster.await_leader()
        client.ask(frames.WRITE, "Iq", 1, 1)
        cluster.do(frames.STOP, "B", leader)
        cluster.run(1000)

        assert cluster.exits == [(leader, 0)]
        assert cluster.look(leader).running == 0
        assert [kind for kind, _, _ in cluster.said][-1] == frames.CLOSED
