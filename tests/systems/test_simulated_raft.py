"""Raft by itself: a cluster of nodes in virtual time, asked and struck by hand."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from dissever.harness import clock
from dissever.harness.client import NotApplied
from dissever.harness.cluster import DiskErrorKind, DiskRule, Impairment
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.system import Role
from dissever.systems.simulated.deployment import SimulatedDeployment
from dissever.systems.simulated.raft.log import Command, Entry, Log, Snapshot
from dissever.systems.simulated.raft.machine import Machine
from dissever.systems.simulated.raft.node import Node
from dissever.systems.simulated.stores import SimulatedElements, SimulatedRegisters

NODES = ("n1", "n2", "n3", "n4", "n5")


class Raft:
    """A cluster with what the tests ask of it."""

    def __init__(self, deployment, cluster):
        self.deployment, self.cluster = deployment, cluster
        self.members = deployment.members

    def node(self, name):
        return self.cluster.behaviour(name)

    def server(self, name):
        return self.node(name).server

    async def leader(self):
        return (await self.deployment.await_ready(5))["leader"]

    async def others(self):
        leader = await self.leader()
        return [node for node in NODES if node != leader]

    def registers(self, node):
        return SimulatedRegisters(self.cluster, node)

    async def write(self, node, *values, key=1):
        for value in values:
            await self.registers(node).write(key, value)

    async def isolate(self, *nodes):
        """Cut these off from the others."""
        rest = frozenset(NODES) - frozenset(nodes)
        grudge = dict.fromkeys(nodes, rest) | dict.fromkeys(sorted(rest), frozenset(nodes))
        await self.cluster.drop(grudge)

    async def settled(self):
        """Wait until all hold the same; the state of each."""
        await self.deployment.await_ready(10)
        await asyncio.sleep(0.5)
        return [node.machine.digest() for node in map(self.node, NODES) if node is not None]


@pytest.fixture
def simulate(tmp_path):
    """Runs a coroutine function of a cluster that has a leader, on the virtual clock."""

    def simulate(work, *, bug="", by_lease=False, seed=1):
        async def main():
            incarnations = iter(range(1000))

            def boot(name, disk, cluster):
                session = f"{name}.{next(incarnations)}"
                return Node(name, disk, cluster, session=session, bug=bug, by_lease=by_lease)

            cluster = SimulatedCluster(NODES, boot, Random(seed), tmp_path)
            deployment = SimulatedDeployment(cluster, Random(seed), bug=bug)
            await deployment.start()
            try:
                return await work(Raft(deployment, cluster))
            finally:
                await cluster.close()

        return clock.run(main(), is_virtual=True)

    return simulate


def test_one_leads_and_all_follow(simulate) -> None:
    async def work(raft):
        leader = await raft.leader()
        return leader, [raft.server(node).leader for node in NODES]

    leader, followed = simulate(work)

    assert followed == [leader] * 5


def test_what_one_node_acknowledged_every_node_reads(simulate) -> None:
    async def work(raft):
        await raft.write("n1", 5)
        return [await raft.registers(node).read(1) for node in NODES]

    assert simulate(work) == [5] * 5


def test_compare_and_set_sees_the_latest_value(simulate) -> None:
    async def work(raft):
        await raft.write("n1", 5)
        return [
            await raft.registers("n2").compare_and_set(1, 5, 6),
            await raft.registers("n3").compare_and_set(1, 5, 7),
            await raft.registers("n4").read(1),
        ]

    assert simulate(work) == [True, False, 6]


def test_what_a_node_takes_for_committed_when_it_starts_is_applied(simulate) -> None:
    async def work(raft):
        await raft.cluster.kill("n2")
        await raft.cluster.start("n2")
        return raft.server("n2").applied, raft.server("n2").commit

    applied, committed = simulate(work)

    assert applied == committed >= 1


def test_another_leads_when_the_leader_is_gone_and_nothing_is_lost(simulate) -> None:
    async def work(raft):
        await raft.write("n1", *range(20))
        leader, others = await raft.leader(), await raft.others()
        term = raft.server(leader).term
        await raft.cluster.kill(leader)
        await asyncio.sleep(1)
        value = await raft.registers(others[0]).read(1)
        await raft.write(others[0], 99)
        await raft.cluster.start(leader)
        return value, raft.server(others[0]).term - term, len(set(await raft.settled()))

    value, terms, states = simulate(work)

    assert value == 19
    assert terms >= 1
    assert states == 1


def test_leader_without_a_majority_steps_down_and_its_clients_are_not_lied_to(simulate) -> None:
    async def work(raft):
        await raft.write("n1", 1)
        leader, others = await raft.leader(), await raft.others()
        await raft.isolate(leader)
        with pytest.raises((TimeoutError, NotApplied)):
            await raft.write(leader, 2)
        with pytest.raises(NotApplied):
            await raft.registers(leader).read(1)
        await raft.write(others[0], 3)
        is_leader = raft.server(leader).is_leader
        await raft.cluster.drop({})
        await raft.settled()
        return is_leader, await raft.registers(leader).read(1)

    is_leader, value = simulate(work)

    assert not is_leader
    assert value in (2, 3)


def test_node_that_was_cut_off_deposes_nobody_when_it_returns(simulate) -> None:
    async def work(raft):
        leader, others = await raft.leader(), await raft.others()
        term = raft.server(leader).term
        await raft.isolate(others[0])
        await asyncio.sleep(5)
        await raft.cluster.drop({})
        await asyncio.sleep(1)
        return raft.server(leader).is_leader, raft.server(leader).term - term

    assert simulate(work) == (True, 0)


def test_whole_cluster_comes_back_from_its_disks_after_a_power_failure(simulate) -> None:
    async def work(raft):
        elements = SimulatedElements(raft.cluster, "n2")
        for element in range(250):
            await elements.add(element)
        for node in NODES:
            await raft.cluster.fail_power(node)
        for node in NODES:
            await raft.cluster.start(node)
        states = await raft.settled()
        return len(set(states)), await SimulatedElements(raft.cluster, "n4").elements()

    assert simulate(work) == (1, [*range(250)])


def test_snapshots_are_taken_and_installed_where_entries_are_gone(simulate) -> None:
    async def work(raft):
        others = await raft.others()
        await raft.cluster.kill(others[0])
        await raft.write(others[1], *range(300))
        await raft.cluster.start(others[0])
        states = await raft.settled()
        held = await raft.deployment.snapshots()
        return others, held, states

    others, held, states = simulate(work)

    assert len(set(states)) == 1
    assert all(len(held[node]) == 1 for node in NODES)
    assert [snapshot.is_installed for snapshot in held[others[0]]] == [True]
    assert [snapshot.is_installed for snapshot in held[others[1]]] == [False]


def test_failed_and_torn_writes_are_repeated_until_they_succeed(simulate) -> None:
    async def work(raft):
        for kind in (DiskErrorKind.ERROR, DiskErrorKind.TORN, DiskErrorKind.FULL):
            for node in NODES:
                await raft.cluster.set_disk_rule(node, kind, DiskRule(kind, probability=0.3))
            for number in range(10):
                await raft.registers("n1").write(1, number)
            hits = [sum((await raft.cluster.disk_hits(node)).values()) for node in NODES]
            for node in NODES:
                await raft.cluster.set_disk_rule(node, kind, None)
            assert min(hits) > 0
        return len(set(await raft.settled())), await raft.registers("n3").read(1)

    assert simulate(work) == (1, 9)


def test_repeated_requests_are_carried_out_once(simulate) -> None:
    async def work(raft):
        links = {
            (a, b): Impairment(loss=0.3, duplicate=0.3) for a in NODES for b in NODES if a != b
        }
        await raft.cluster.impair(links)
        added = []
        for element in range(40):
            try:
                await SimulatedElements(raft.cluster, NODES[element % 5]).add(element)
                added.append(element)
            except (TimeoutError, NotApplied):
                pass
        await raft.cluster.impair({})
        await raft.settled()
        return added, await SimulatedElements(raft.cluster, "n1").elements()

    added, held = simulate(work)

    assert len(added) > 20
    assert len(held) == len(set(held))
    assert set(added) <= set(held)


def test_members_are_demoted_removed_and_taken_in_empty(simulate) -> None:
    async def work(raft):
        members, others = raft.members, await raft.others()
        first, second = others[:2]
        await raft.write(first, *range(150))
        await members.assign(first, Role.STAND_BY)
        demoted = (await members.roles())[first]
        await members.assign(first, Role.VOTER)
        await members.remove(second)
        removed = await members.roles()
        await raft.cluster.kill(second)
        await members.wipe(second)
        await members.start(second)
        await members.add(second, Role.VOTER)
        return demoted, second in removed, await members.roles(), await raft.settled()

    demoted, is_in, roles, states = simulate(work)

    assert demoted is Role.STAND_BY
    assert not is_in
    assert roles == dict.fromkeys(NODES, Role.VOTER)
    assert len(set(states)) == 1


def test_removed_leader_hands_on(simulate) -> None:
    async def work(raft):
        leader = await raft.leader()
        await raft.members.remove(leader)
        await asyncio.sleep(1)
        return leader, await raft.members.leader(), sorted(await raft.members.roles())

    leader, later, members = simulate(work)

    assert later not in (leader, None)
    assert members == [node for node in NODES if node != leader]


def test_leadership_is_handed_over(simulate) -> None:
    async def work(raft):
        others = await raft.others()
        await raft.members.transfer(others[2])
        await asyncio.sleep(0.05)
        return others[2], await raft.members.leader()

    asked, leader = simulate(work)

    assert leader == asked


def test_reads_by_lease_ask_nobody(simulate) -> None:
    async def work(raft):
        leader = await raft.leader()
        await raft.write(leader, 4)
        began_s = asyncio.get_running_loop().time()
        value = await raft.registers(leader).read(1)
        return value, asyncio.get_running_loop().time() - began_s

    (by_index, index_s), (by_lease, lease_s) = simulate(work), simulate(work, by_lease=True)

    assert by_index == by_lease == 4
    assert lease_s < 0.0061 < 0.0065
    assert lease_s < index_s


def test_log_knows_the_term_before_its_first_entry() -> None:
    log = Log(Snapshot(), [Entry(index, 1 + index // 5) for index in range(1, 11)])
    log.compact(Snapshot(6, 2), trailing=2)

    assert (log.first_index, log.last_index, log.term_at(4)) == (5, 10, None)
    log.compact(Snapshot(10, 3), trailing=0)
    assert (log.first_index, log.last_index, log.last_term, log.term_at(10)) == (11, 10, 3, 3)


def test_snapshot_of_another_history_replaces_the_whole_log() -> None:
    log = Log(Snapshot(), [Entry(index, 1) for index in range(1, 11)])

    log.compact(Snapshot(6, 2), trailing=5)

    assert (log.first_index, log.last_index) == (7, 6)


def test_session_forgets_answers_that_nobody_waits_for() -> None:
    machine = Machine({}, {})

    def add(sequence):
        return machine.apply(
            Command("s", sequence, sequence, "k", "add", lambda held: ((held or 0) + 1, held))
        )

    for sequence in (1, 1, 2, 3):
        add(sequence)
    late, why = add(1)

    assert machine.data == {"k": 3}
    assert (late, why.code) == (None, "forgotten")
    assert list(machine.sessions["s"].answers) == [3]
