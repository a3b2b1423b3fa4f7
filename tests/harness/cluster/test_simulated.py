"""The simulated hosts: what is dropped, waits, and ends as on a real kernel."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from dissever.harness import clock
from dissever.harness.cluster import NodeState
from dissever.harness.cluster.simulated import SimulatedCluster

NODES = ("n1", "n2", "n3")


class Echo:
    """Answers at once, after a second (`slow`), never (`hang`), or with an error (`fail`)."""

    def __init__(self, name, disk, cluster):
        disk.keep("starts", disk.content.get("starts", 0) + 1)
        self.disk = disk
        self.cluster = cluster
        self.handled = []

    def handle(self, source, request):
        self.handled.append(request)
        if request == "fail":
            raise LookupError("no")
        if request in ("slow", "hang"):
            return self.take(request)
        if isinstance(request, tuple):
            return self.cluster.request("n1", *request)
        return request, self.disk.content["starts"]

    async def take(self, request):
        await asyncio.sleep(1 if request == "slow" else 1e6)
        return request


@pytest.fixture
def simulate(tmp_path):
    """Runs a coroutine function of a started cluster on the virtual clock."""

    def simulate(work):
        async def main():
            cluster = SimulatedCluster(NODES, Echo, Random(1), tmp_path)
            for node in NODES:
                await cluster.start(node)
            try:
                return await work(cluster)
            finally:
                await cluster.close()

        return clock.run(main(), is_virtual=True)

    return simulate


def test_request_is_answered_after_two_ways(simulate) -> None:
    async def work(cluster):
        answer = await cluster.request("n1", "n2", "hello")
        return answer, asyncio.get_running_loop().time()

    answer, time_s = simulate(work)

    assert answer == ("hello", 1)
    assert 0.001 <= time_s <= 0.006


def test_exception_of_a_node_is_the_answer(simulate) -> None:
    async def work(cluster):
        await cluster.request(None, "n1", "fail")

    with pytest.raises(LookupError, match="no"):
        simulate(work)


def test_cut_drops_in_its_direction_and_counts(simulate) -> None:
    async def work(cluster):
        await cluster.drop({"n2": frozenset({"n1"})})
        with pytest.raises(TimeoutError, match="the request was dropped"):
            await cluster.request("n1", "n2", "x")
        with pytest.raises(TimeoutError, match="the answer was dropped"):
            await cluster.request("n1", "n3", "x") and await cluster.request("n2", "n1", "x")
        reach = await cluster.reach([("n1", "n2"), ("n2", "n1"), ("n1", "n3")], 0.5)
        from_client = await cluster.request(None, "n2", "x")
        dropped = dict(await cluster.dropped())
        await cluster.drop({})
        return reach, from_client, dropped, await cluster.request("n1", "n2", "x")

    reach, from_client, dropped, healed = simulate(work)

    assert reach == {("n1", "n2"): False, ("n2", "n1"): True, ("n1", "n3"): True}
    assert from_client == healed == ("x", 1)
    assert dropped == {("n1", "n2"): 3}


def test_kill_resets_what_is_open_and_keeps_what_is_durable(simulate) -> None:
    async def work(cluster):
        open_request = asyncio.ensure_future(cluster.request(None, "n2", "hang"))
        await asyncio.sleep(0.1)
        killed = await cluster.kill("n2")
        with pytest.raises(ConnectionResetError, match="n2 was killed"):
            await open_request
        with pytest.raises(ConnectionRefusedError, match="n2 does not run"):
            await cluster.request(None, "n2", "x")
        again = await cluster.start("n2")
        return killed, again, await cluster.request(None, "n2", "x")

    killed, again, answer = simulate(work)

    assert (killed.state, killed.pid, killed.exit_status) == (NodeState.GONE, None, -9)
    assert (again.state, again.incarnation) == (NodeState.RUNNING, 2)
    assert answer == ("x", 2)


def test_starting_stopping_and_resuming_twice_does_no_harm(simulate) -> None:
    async def work(cluster):
        first = await cluster.start("n1")
        await cluster.resume("n1")
        await cluster.stop("n1", 1)
        stopped = await cluster.stop("n1", 1)
        paused = await cluster.pause("n1")
        return first.incarnation, stopped, paused.state, (await cluster.start("n1")).state

    incarnation, stopped, paused, started = simulate(work)

    assert incarnation == 1
    assert (stopped.state, stopped.exit_status) == (NodeState.GONE, 0)
    assert paused is NodeState.GONE
    assert started is NodeState.RUNNING


def test_paused_node_neither_handles_nor_answers_nor_sends(simulate) -> None:
    async def work(cluster):
        now = asyncio.get_running_loop().time
        times = {}

        async def ask(name, source, destination, request):
            await cluster.request(source, destination, request)
            times[name] = now()

        asked = [asyncio.ensure_future(ask("answers", None, "n1", "slow"))]
        await asyncio.sleep(0.5)
        status = await cluster.pause("n1")
        asked.append(asyncio.ensure_future(ask("handles", None, "n1", "x")))
        asked.append(asyncio.ensure_future(ask("sends", "n1", "n2", "x")))
        await asyncio.sleep(5)
        before = dict(times)
        await cluster.resume("n1")
        await asyncio.gather(*asked)
        return status.state, before, times

    state, before, times = simulate(work)

    assert state is NodeState.PAUSED
    assert before == {}
    assert set(times) == {"answers", "handles", "sends"}
    assert all(5.5 < time_s < 5.52 for time_s in times.values())


def test_node_that_is_killed_while_paused_resets_what_waits(simulate) -> None:
    async def work(cluster):
        await cluster.pause("n1")
        waiting = asyncio.ensure_future(cluster.request(None, "n1", "x"))
        await asyncio.sleep(1)
        await cluster.kill("n1")
        with pytest.raises(ConnectionResetError):
            await waiting
        return (await cluster.start("n1")).state

    assert simulate(work) is NodeState.RUNNING


def test_node_goes_on_when_who_asked_has_gone(simulate) -> None:
    async def work(cluster):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await cluster.request(None, "n1", ("n2", "slow"))
        await asyncio.sleep(2)
        return await cluster.request(None, "n2", "x")

    assert simulate(work) == ("x", 1)
