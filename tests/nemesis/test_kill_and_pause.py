from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dissever.harness.client import Invocation
from dissever.harness.cluster import NodeState
from dissever.nemesis.aiming import Ledger

KILL, START = ("kill", "kill"), ("kill", "start")
PAUSE, RESUME = ("pause", "pause"), ("pause", "resume")


def test_a_kill_is_seen_by_its_signal_and_a_start_by_a_new_process(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    killed, started = play(nemeses_of(cluster), (*KILL, {"targets": ["n2"]}), START)

    assert killed.value["targets"] == started.value["targets"] == ["n2"]
    assert killed.value["evidence"] == {
        "held": True,
        "nodes": {
            "n2": {"state": "gone", "incarnation": 1, "exit_status": -9, "pid": 101, "took_ms": 0.0}
        },
    }
    assert started.value["evidence"] == {
        "healed": True,
        "still_held": True,
        "in_force": {
            "nodes": {"n2": {"state": "gone", "incarnation": 1, "exit_status": -9, "pid": None}}
        },
        "nodes": {
            "n2": {
                "state": "running",
                "incarnation": 2,
                "exit_status": -9,
                "pid": 2001,
                "pid_before": 101,
                "took_ms": 0.0,
            }
        },
    }
    assert cluster.states["n2"].state is NodeState.RUNNING


def test_a_pause_is_seen_in_the_kernel_and_by_its_silence(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    paused, resumed = play(nemeses_of(cluster), (*PAUSE, {"targets": ["n2"]}), RESUME)

    assert paused.value["evidence"]["held"] is True
    assert paused.value["evidence"]["nodes"]["n2"]["answers"] is False
    assert paused.value["evidence"]["nodes"]["n2"]["state"] == "paused"
    assert resumed.value["evidence"]["healed"] is True
    assert resumed.value["evidence"]["nodes"]["n2"]["answers"] is True


def test_without_a_way_to_ask_the_kernel_is_believed(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    paused, resumed = play(nemeses_of(cluster, asks=False), PAUSE, RESUME)

    assert paused.value["evidence"]["held"] is True
    assert resumed.value["evidence"]["healed"] is True
    assert "answers" not in str(paused.value) + str(resumed.value)


@pytest.mark.parametrize(
    ("lie", "step"),
    [("kill", KILL), ("pause", PAUSE), ("answers", PAUSE)],
)
def test_a_fault_that_does_nothing_is_no_evidence(
    lie: str, step: tuple[str, str], make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    (completion,) = play(nemeses_of(make_cluster(lies={lie})), step)

    assert completion.value["evidence"]["held"] is False
    assert completion.error == f"{step[1]} did not take hold"


@pytest.mark.parametrize(
    ("lie", "step", "undo"), [("start", KILL, START), ("resume", PAUSE, RESUME)]
)
def test_a_healing_that_does_nothing_is_seen_and_can_be_tried_again(
    lie: str,
    step: tuple[str, str],
    undo: tuple[str, str],
    make_cluster: Any,
    nemeses_of: Any,
    play: Any,
) -> None:
    cluster = make_cluster(lies={lie})
    nemeses = nemeses_of(cluster)
    struck, not_healed = play(nemeses, step, undo)
    cluster.lies.clear()
    (healed,) = play(nemeses, undo)

    assert not_healed.value["evidence"]["healed"] is False
    assert not_healed.error == f"{undo[1]} did not heal"
    assert healed.value["evidence"]["healed"] is True
    assert healed.value["targets"] == struck.value["targets"]


def test_a_resumed_node_that_never_answers_is_not_healed(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    async def silent(_: str) -> bool:
        await asyncio.sleep(60)
        return True

    cluster.answers = silent
    paused, resumed = play(nemeses_of(cluster), PAUSE, RESUME)

    assert paused.value["evidence"]["held"] is True
    assert resumed.value["evidence"]["healed"] is False


def test_a_resumed_node_that_ends_before_it_answers_is_not_paused_any_more(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    async def dies(node: str) -> bool:
        if (await cluster.status(node)).state is NodeState.RUNNING:
            await cluster.kill(node)
        return False

    cluster.answers = dies
    _, resumed = play(nemeses_of(cluster), PAUSE, RESUME)
    (evidence,) = resumed.value["evidence"]["nodes"].values()

    assert resumed.value["evidence"]["healed"] is True
    assert (evidence["answers"], evidence["ended"]) == (False, True)


def test_a_node_that_already_ended_is_not_killed(cluster: Any, nemeses_of: Any, play: Any) -> None:
    asyncio.run(cluster.kill("n1"))
    cluster.leaders = ("n1",)
    (killed,) = play(nemeses_of(cluster), (*KILL, {"spec": "leader"}))

    assert killed.value["targets"] != ["n1"]
    assert killed.value["fallback"] == "every leader is already down"
    assert killed.value["evidence"]["held"] is True


def test_faults_never_take_down_more_than_the_budget_together(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    killed, paused, skipped = play(
        nemeses_of(cluster), KILL, (*PAUSE, {"spec": "majority"}), (*PAUSE, {"spec": "one"})
    )

    assert len(killed.value["targets"]) == len(paused.value["targets"]) == 1
    assert paused.value["trimmed"] == "1 of 3: the budget is 2 down at a time"
    assert paused.value["evidence"]["held"] is True
    assert skipped.value["targets"] == []
    assert skipped.value["evidence"] == {"held": None, "nodes": {}}
    assert skipped.error == skipped.value["skipped"]
    assert skipped.error == "the budget is 2 down at a time, and 2 are"


def test_what_is_healed_makes_room_again(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    nemeses = nemeses_of(make_cluster(3))
    *_, second = play(nemeses, KILL, START, PAUSE, RESUME, KILL)

    assert len(second.value["targets"]) == 1


def test_a_greater_budget_allows_all(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster = make_cluster(3)
    killed, started = play(nemeses_of(cluster, budget=3), (*KILL, {"spec": "all"}), START)

    assert killed.value["targets"] == started.value["targets"] == ["n1", "n2", "n3"]


def test_no_more_are_struck_than_the_plan_says(cluster: Any, nemeses_of: Any, play: Any) -> None:
    (killed,) = play(nemeses_of(cluster), (*KILL, {"spec": "minority", "count": 1, "seed": 9}))

    assert len(killed.value["targets"]) == 1
    assert "trimmed" not in killed.value


def test_a_system_that_cannot_say_who_leads_does_not_stop_the_fault(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    async def hang() -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ("n1",)

    cluster.primaries = hang
    (killed,) = play(nemeses_of(cluster), (*KILL, {"spec": "leader"}))

    assert killed.value["fallback"] == "no leader was known"
    assert killed.value["evidence"]["held"] is True


@pytest.mark.parametrize("name", ["kill", "pause"])
def test_heal_brings_every_node_back_even_when_one_does_not_come(
    name: str, cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    nemeses = nemeses_of(cluster)
    play(nemeses, (name, name, {"spec": "minority"}))
    verb = {"kill": "start", "pause": "resume"}[name]
    change, failures = getattr(cluster, verb), ["once"]

    async def fails_once(node: str) -> Any:
        if failures:
            failures.clear()
            raise OSError(f"no {verb}")
        return await change(node)

    setattr(cluster, verb, fails_once)
    with pytest.raises(OSError, match="no "):
        run(nemeses[name].heal())
    down = [node for node in cluster.nodes if cluster.states[node].state is not NodeState.RUNNING]
    assert len(down) == 1
    run(nemeses[name].heal())
    calls = len(cluster.calls)
    run(nemeses[name].heal())

    assert all(status.state is NodeState.RUNNING for status in cluster.states.values())
    assert len(cluster.calls) == calls


def test_with_no_budget_the_probe_says_why(make_cluster: Any, nemeses_of: Any) -> None:
    cluster = make_cluster(2)
    missing = nemeses_of(cluster)["kill"].probe()

    assert missing.reason == "none of 2 nodes may be down at a time"


def test_the_ledger_knows_whose_a_node_is() -> None:
    down = Ledger(("n1", "n2", "n3", "n4", "n5"))
    down.take("kill", ["n4"])
    down.take("pause", ["n1"])

    assert (down.of("kill"), down.of("pause"), down.room) == (("n4",), ("n1",), 0)
    down.give_back("n4")
    assert (down.of("kill"), down.room) == ((), 1)


@pytest.mark.parametrize("name", ["kill", "pause"])
def test_another_f_is_refused(name: str, cluster: Any, nemeses_of: Any, play: Any) -> None:
    with pytest.raises(ValueError, match=f"expected {name} or .*, got 'reboot'"):
        play(nemeses_of(cluster), (name, "reboot"))


def test_a_stop_is_seen_by_an_end_of_its_own(cluster: Any, nemeses_of: Any, play: Any) -> None:
    stopped, started = play(
        nemeses_of(cluster, "stop"), ("stop", "terminate", {"targets": ["n2"]}), ("stop", "start")
    )

    assert stopped.value["evidence"]["held"] is True
    assert stopped.value["evidence"]["nodes"]["n2"]["exit_status"] == 0
    assert started.value["evidence"]["healed"] is True


def test_a_stop_that_had_to_be_killed_did_not_hold(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(5, lies={"stop"})
    (stopped,) = play(nemeses_of(cluster, "stop"), ("stop", "terminate", {"targets": ["n2"]}))

    assert stopped.value["evidence"]["held"] is False


def test_a_crash_loop_goes_on_until_it_is_healed(cluster: Any, nemeses_of: Any, run: Any) -> None:
    nemesis = nemeses_of(cluster, "crash-loop")["crash-loop"]

    async def main() -> tuple[Any, Any]:
        value = {"targets": ["n2"], "gap_s": 0.5}
        struck = await nemesis.invoke(Invocation("start-crash-loop", value))
        await asyncio.sleep(10)
        return struck, await nemesis.invoke(Invocation("stop-crash-loop"))

    struck, healed = run(main())

    assert struck.value["evidence"]["held"] is True
    assert struck.value["evidence"]["nodes"]["n2"]["crashes"] == 3
    assert healed.value["evidence"]["healed"] is True
    assert healed.value["evidence"]["nodes"]["n2"]["crashes"] >= 12
    assert cluster.states["n2"].state is NodeState.RUNNING


def test_a_crash_loop_ends_with_the_teardown(cluster: Any, nemeses_of: Any, run: Any) -> None:
    nemesis = nemeses_of(cluster, "crash-loop")["crash-loop"]

    async def main() -> int:
        await nemesis.invoke(Invocation("start-crash-loop", {"targets": ["n2"]}))
        await nemesis.heal()
        before = len(cluster.calls)
        await asyncio.sleep(10)
        return len(cluster.calls) - before

    assert run(main()) == 0
    assert cluster.states["n2"].state is NodeState.RUNNING
