"""
A fault that somebody else ends before its healing did not last: each is looked at again.

Beside them their innocent twins: the same faults, left alone until they heal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dissever.checkers import Evidence
from dissever.harness.client import Invocation
from dissever.harness.cluster import NodeState
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.nemesis import FAULTS, Environment, make_nemeses


async def _starts(cluster: Any) -> None:
    await cluster.start("n2")


async def _resumes(cluster: Any) -> None:
    await cluster.resume("n2")


async def _lifts_cuts(cluster: Any) -> None:
    cluster.grudge, cluster.counts = {}, {}


async def _lifts_one_direction(cluster: Any) -> None:
    cluster.counts.pop(next(iter(cluster.counts)))


async def _lifts_limit(cluster: Any) -> None:
    cluster.limits.clear()


async def _raises_limit(cluster: Any) -> None:
    cluster.limits["n2"]["cpu"]["limit"] = 64.0


async def _nothing(_: Any) -> None:
    """Somebody else does nothing."""


UNDONE = [
    ("kill", {}, _starts),
    ("stop", {}, _starts),
    ("pause", {}, _resumes),
    ("partition", {}, _lifts_cuts),
    ("partition", {}, _lifts_one_direction),
    ("swizzle", {}, _lifts_cuts),
    ("limit-cpu", {"cpus": 0.1}, _lifts_limit),
    ("limit-cpu", {"cpus": 0.1}, _raises_limit),
]


def _verdict(completions: Any, fault: str) -> Verdict:
    events = []
    steps = (FAULTS[fault].steps[0], FAULTS[fault].steps[-1])
    for f, done in zip(steps, completions, strict=True):
        for type_, value in ((Type.INVOKE, None), (Type.INFO, done.value)):
            index = len(events)
            events.append(Event(index, index, fault, type_, f, value))
    return Evidence()(History(events), Budget()).verdict


@pytest.fixture
def strike(make_cluster: Any, run: Any) -> Callable[..., Any]:
    """Strike n2, let somebody else do something, heal; the two completions."""

    def struck(fault: str, settings: Any, meanwhile: Any, **lies: Any) -> Any:
        cluster = make_cluster(**lies)
        cluster.effects = {"throttled": 1}
        nemesis = make_nemeses([fault], Environment(cluster, cluster, 1, answers=cluster.answers))

        async def main() -> Any:
            first, last = FAULTS[fault].steps[0], FAULTS[fault].steps[-1]
            began = await nemesis[fault].invoke(_invocation(fault, first, settings))
            await meanwhile(cluster)
            for read in cluster.limits.get("n2", {}).values():
                read["throttled"] += 1
            for link in cluster.counts:
                cluster.counts[link] += 1
            return began, await nemesis[fault].invoke(_invocation(fault, last, None))

        return run(main())

    return struck


def _invocation(fault: str, f: str, settings: Any) -> Any:
    return Invocation(
        f, None if settings is None else {"targets": ["n2"], **settings}, process=fault
    )


@pytest.mark.parametrize(("fault", "settings", "undo"), UNDONE)
def test_a_fault_that_somebody_else_ended_is_no_evidence(
    fault: str, settings: Any, undo: Any, strike: Any
) -> None:
    completions = strike(fault, settings, undo)

    assert completions[0].value["evidence"]["held"] is True
    assert completions[1].value["evidence"]["still_held"] is False
    assert completions[1].value["evidence"]["lapsed"]
    assert _verdict(completions, fault) is Verdict.UNKNOWN


@pytest.mark.parametrize(("fault", "settings", "_undo"), UNDONE)
def test_the_same_fault_left_alone_is_valid(
    fault: str, settings: Any, _undo: Any, strike: Any
) -> None:
    completions = strike(fault, settings, _nothing)

    assert completions[1].value["evidence"]["still_held"] is True
    assert "idle" not in completions[1].value["evidence"]
    assert _verdict(completions, fault) is Verdict.VALID


def test_a_crash_loop_that_somebody_stopped_is_seen(
    make_cluster: Any, nemeses_of: Any, run: Any
) -> None:
    cluster = make_cluster()
    nemesis = nemeses_of(cluster, "crash-loop")["crash-loop"]

    async def main() -> Any:
        await nemesis.invoke(_invocation("crash-loop", "start-crash-loop", {"gap_s": 0.2}))
        (loop,) = nemesis._made._node_fault._loops.values()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        return await nemesis.invoke(_invocation("crash-loop", "stop-crash-loop", None))

    assert run(main()).value["evidence"]["still_held"] is False


def test_a_deposed_leader_that_somebody_woke_too_early_is_seen(
    make_cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    cluster = make_cluster(leaders=("n2",))
    nemeses = nemeses_of(cluster)
    play(nemeses, ("deposed-leader", "start-deposed-leader", {"spec": "leader"}))
    run(cluster.resume("n2"))
    (healed,) = play(nemeses, ("deposed-leader", "stop-deposed-leader"))

    assert healed.value["evidence"]["still_held"] is False
    assert healed.value["evidence"]["lapsed"] == "n2 was awake"


def test_a_cut_into_which_nothing_was_sent_is_idle(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    _, healed = play(
        nemeses_of(cluster),
        ("partition", "start-partition", {"targets": ["n2"]}),
        ("partition", "stop-partition"),
    )

    assert healed.value["evidence"]["still_held"] is True
    assert healed.value["evidence"]["idle"] is True


def test_what_nodes_sent_before_another_cut_set_the_counters_back_is_not_forgotten(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    nemeses = nemeses_of(cluster, "partition", "swizzle")
    play(nemeses, ("partition", "start-partition", {"targets": ["n2"]}))
    cluster.counts["n1", "n2"] += 5
    *_, healed = play(
        nemeses,
        ("swizzle", "start-swizzle", {"targets": ["n3"]}),
        ("swizzle", "stop-swizzle"),
        ("partition", "stop-partition"),
    )

    assert healed.value["evidence"]["in_force"]["met"] == 5
    assert "idle" not in healed.value["evidence"]


def test_a_limit_that_never_held_the_node_back_is_idle(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(effects={"throttled": 3})
    _, healed = play(
        nemeses_of(cluster, "limit-cpu"),
        ("limit-cpu", "start-limit-cpu", {"targets": ["n2"]}),
        ("limit-cpu", "stop-limit-cpu"),
    )

    assert healed.value["evidence"]["still_held"] is True
    assert healed.value["evidence"]["idle"] is True


def test_a_look_that_fails_is_no_evidence_and_healing_goes_on(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster)
    play(nemeses, ("partition", "start-partition", {"targets": ["n2"]}))
    cluster.fails.add("dropped")
    (healed,) = play(nemeses, ("partition", "stop-partition"))

    assert healed.value["evidence"]["still_held"] is None
    assert (
        healed.value["evidence"]["lapsed"] == "it is not known whether it was in force: no counters"
    )
    assert healed.value["evidence"]["healed"] is True
    assert cluster.grudge == {}


def test_a_look_that_hangs_does_not_hold_healing_up(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster)
    play(nemeses, ("partition", "start-partition", {"targets": ["n2"]}))
    reach = cluster.reach

    async def hangs_once(*arguments: Any) -> Any:
        cluster.reach = reach
        await asyncio.sleep(1000)

    cluster.reach = hangs_once
    (healed,) = play(nemeses, ("partition", "stop-partition"))

    assert healed.value["evidence"]["still_held"] is None
    assert healed.value["evidence"]["healed"] is True


def test_a_cut_whose_rules_no_longer_count_is_no_evidence(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster)
    play(nemeses, ("partition", "start-partition", {"targets": ["n2"]}))
    cluster.lies.add("dropped")
    (healed,) = play(nemeses, ("partition", "stop-partition"))

    assert healed.value["evidence"]["still_held"] is False


def test_what_was_never_struck_is_not_looked_at(cluster: Any, nemeses_of: Any, play: Any) -> None:
    for fault in ("kill", "pause", "partition"):
        (healed,) = play(nemeses_of(cluster), (fault, FAULTS[fault].steps[-1]))

        assert "still_held" not in healed.value["evidence"]


def test_a_leader_that_is_said_to_lead_though_it_is_dead_never_led(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(leaders=("n1",))  # Always the first node, whoever leads.
    completions = play(nemeses_of(cluster), ("kill", "kill", {"spec": "leader"}), ("kill", "start"))
    told = completions[1].value["evidence"]

    assert completions[0].value["evidence"]["as_asked"] is True
    assert (told["as_asked"], told["said"]) == (
        False,
        "the system says that n1 leads, which is down",
    )
    assert _verdict(completions, "kill") is Verdict.UNKNOWN


def test_a_leader_that_another_followed_did_lead(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(leaders=("n1",))
    nemeses = nemeses_of(cluster)
    (killed,) = play(nemeses, ("kill", "kill", {"spec": "leader"}))
    cluster.leaders = ("n3",)
    (healed,) = play(nemeses, ("kill", "start"))

    assert killed.value["evidence"]["leading"] == ["n1"]
    assert "as_asked" not in healed.value["evidence"]
    assert _verdict((killed, healed), "kill") is Verdict.VALID


@pytest.mark.parametrize("leaders", [(), ("n2",)])
def test_a_leader_that_nobody_knows_or_that_is_down_is_not_met(
    leaders: tuple[str, ...], make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(leaders=leaders)
    cluster.states["n2"] = replace(cluster.states["n2"], state=NodeState.GONE, pid=None)
    completions = play(nemeses_of(cluster), ("kill", "kill", {"spec": "leader"}), ("kill", "start"))

    assert completions[0].value["evidence"]["held"] is True
    assert completions[0].value["evidence"]["as_asked"] is False
    assert _verdict(completions, "kill") is Verdict.UNKNOWN


def test_an_election_is_waited_for(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster = make_cluster()
    answers = [(), (), ("n4",)]

    async def primaries() -> tuple[str, ...]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    cluster.primaries = primaries
    (killed,) = play(nemeses_of(cluster), ("kill", "kill", {"spec": "leader"}))

    assert killed.value["targets"] == ["n4"]
    assert killed.value["evidence"]["as_asked"] is True
