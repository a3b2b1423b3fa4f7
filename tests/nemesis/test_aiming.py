"""A strike for which there is no room, or whose node is just being changed, is put off a little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.nemesis.aiming import FIRST_PUT_OFF_S, PUT_OFF_S, Aiming, Ledger
from dissever.nemesis.parameters import Request

Run = Callable[[Any], Any]


def _request(**given: Any) -> Request:
    return Request("one", Random(1), **given)


async def _back_after(ledger: Ledger, node: str, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    ledger.give_back(node)


def test_a_strike_waits_for_room(cluster: Any, run: Run) -> None:
    async def main() -> tuple[Any, float]:
        ledger, aiming = Ledger(cluster.nodes, 1), Aiming(cluster, None, None)
        ledger.take("transfer", ["n1"])
        back = asyncio.create_task(_back_after(ledger, "n1", 1.0))
        choice = await aiming.nodes(_request(), "pause", ledger)
        await back
        return choice, asyncio.get_running_loop().time()

    choice, now_s = run(main())

    assert len(choice.targets) == 1
    assert not choice.notes
    assert 1.0 <= now_s <= 1.1


def test_a_strike_that_waited_in_vain_is_skipped_and_the_first_one_waits_longer(
    cluster: Any, run: Run
) -> None:
    async def main() -> list[tuple[Any, float]]:
        ledger, aiming = Ledger(cluster.nodes, 1), Aiming(cluster, None, None)
        loop = asyncio.get_running_loop()
        await aiming.nodes(_request(), "pause", ledger)
        ledger.give_back(ledger.of("pause")[0])
        ledger.take("transfer", ["n1"])
        seen = []
        for fault in ("pause", "kill"):
            began = loop.time()
            seen.append(
                (await aiming.nodes(_request(), fault, ledger), round(loop.time() - began, 1))
            )
        return seen

    (pause, waited_s), (kill, first_waited_s) = run(main())

    assert pause.targets == kill.targets == ()
    assert "budget is 1 down at a time, and 1 are" in pause.notes["skipped"]
    assert (waited_s, first_waited_s) == (PUT_OFF_S, FIRST_PUT_OFF_S)


def test_waiting_changes_nothing_about_who_is_drawn(cluster: Any, run: Run) -> None:
    async def main(waits: bool) -> Any:
        ledger, aiming = Ledger(cluster.nodes, 2), Aiming(cluster, None, None)
        ledger.take("a", ["n1", "n2"] if waits else ["n1"])
        back = asyncio.create_task(_back_after(ledger, "n2", 0.5))
        choice = await aiming.nodes(_request(), "kill", ledger)
        await back
        return choice

    assert run(main(True)) == run(main(False))


def test_nobody_waits_for_what_cannot_come(cluster: Any, run: Run) -> None:
    async def main() -> tuple[Any, float]:
        aiming, ledger = Aiming(cluster, None, None), Ledger(cluster.nodes)
        request = Request("stand-bys", Random(1))
        choice = await aiming.nodes(request, "kill", ledger)
        return choice, asyncio.get_running_loop().time()

    choice, now_s = run(main())

    assert choice.notes["skipped"] == "no node that is meant is running"
    assert now_s == 0


def test_kill_waits_until_a_pause_of_the_same_node_was_measured(
    make_cluster: Any, nemeses_of: Any, run: Run
) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster, "pause", "kill", budget=2)
    changing = nemeses["kill"]._site.aiming

    async def main() -> tuple[Completion, float]:
        async def measure() -> None:
            with changing.changing(["n2"]):
                await asyncio.sleep(1.0)

        invocation = Invocation("kill", {"targets": ["n2"]}, process="kill")
        _, killed = await asyncio.gather(measure(), nemeses["kill"].invoke(invocation))
        return killed, asyncio.get_running_loop().time()

    killed, now_s = run(main())

    assert killed.value["targets"] == ["n2"]
    assert killed.value["evidence"]["held"]
    assert now_s >= 1.0


def test_a_strike_on_a_node_that_another_fault_changes_comes_after_that(
    cluster: Any, run: Run
) -> None:
    async def main() -> list[tuple[tuple[str, ...], float]]:
        aiming = Aiming(cluster, None, None)
        clocks, down = Ledger(cluster.nodes, 5), Ledger(cluster.nodes, 2)
        loop = asyncio.get_running_loop()
        seen = []

        async def measure() -> None:
            with aiming.changing(["n1"]):
                await asyncio.sleep(0.8)

        async def kill(node: str) -> None:
            choice = await aiming.nodes(_request(targets=(node,)), "kill", down)
            seen.append((choice.targets, round(loop.time(), 1)))

        clocks.take("clock-strobe", ["n1"])
        await asyncio.gather(measure(), kill("n1"), kill("n2"))
        return seen

    assert run(main()) == [(("n2",), 0.0), (("n1",), 0.8)]


def test_after_waiting_too_long_another_node_is_struck(cluster: Any, run: Run) -> None:
    async def main() -> Any:
        aiming, down = Aiming(cluster, None, None), Ledger(cluster.nodes, 5)
        with aiming.changing(["n1", "n2", "n3", "n4"]):
            return await aiming.nodes(Request("all", Random(1)), "kill", down)

    assert run(main()).targets == ("n5",)
