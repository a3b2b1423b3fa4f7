from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.cluster import NodeState
from dissever.nemesis.partitions.grudges import isolate

NAME = "deposed-leader"
START, RESUME, STOP = (NAME, f"start-{NAME}"), (NAME, f"resume-{NAME}"), (NAME, f"stop-{NAME}")


def test_the_script_cuts_and_pauses_then_wakes_then_heals(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n3",)
    nemeses = nemeses_of(cluster)
    (started,) = play(nemeses, START)
    assert cluster.grudge == isolate(cluster.nodes, ["n3"])
    assert cluster.states["n3"].state is NodeState.PAUSED
    cluster.leaders = ("n3", "n5")
    (resumed,) = play(nemeses, RESUME)
    assert cluster.grudge == isolate(cluster.nodes, ["n3"])
    (stopped,) = play(nemeses, STOP)

    for completion in (started, resumed, stopped):
        assert completion.value["targets"] == ["n3"]
        assert completion.error is None
    assert started.value["evidence"]["held"] is True
    assert started.value["evidence"]["links"] == 8
    assert started.value["evidence"]["nodes"]["n3"]["state"] == "paused"
    assert resumed.value["evidence"]["held"] is True
    assert resumed.value["evidence"]["leaders"] == ["n5"]
    assert resumed.value["evidence"]["claims_to_lead"] is True
    assert stopped.value["evidence"]["healed"] is True
    assert cluster.grudge == {}
    order = [call.split()[0] for call in cluster.calls]
    assert order == ["drop", "pause", "resume", "resume", "drop"]


def test_the_leader_sleeps_before_anybody_takes_the_time_to_look(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n3",)
    states, reach = [], cluster.reach

    async def watched(*arguments: Any) -> Any:
        states.append(cluster.states["n3"].state)
        return await reach(*arguments)

    cluster.reach = watched
    play(nemeses_of(cluster), START)

    assert set(states) == {NodeState.PAUSED}


def test_of_several_who_claim_to_lead_one_is_struck(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n1", "n4")
    (started,) = play(nemeses_of(cluster), (*START, {"spec": "leader", "seed": 3}))

    assert len(started.value["targets"]) == 1
    assert started.value["targets"][0] in cluster.leaders


@pytest.mark.parametrize("lie", ["drop", "pause", "answers"])
def test_half_of_the_script_is_no_evidence(
    lie: str, make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    (started,) = play(nemeses_of(make_cluster(leaders=("n1",), lies={lie})), START)

    assert started.value["evidence"]["held"] is False
    assert started.error == "start-deposed-leader did not take hold"


def test_a_leader_that_does_not_wake_is_no_evidence(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(leaders=("n1",), lies={"resume"})
    _, resumed, stopped = play(nemeses_of(cluster), START, RESUME, STOP)

    assert resumed.value["evidence"]["held"] is False
    assert stopped.value["evidence"]["healed"] is False


def test_a_stop_without_a_resume_wakes_it(cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster.leaders = ("n1",)
    _, stopped = play(nemeses_of(cluster), START, STOP)

    assert cluster.states["n1"].state is NodeState.RUNNING
    assert stopped.value["evidence"]["healed"] is True


def test_its_cut_and_a_partition_are_in_force_together(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n1",)
    nemeses = nemeses_of(cluster)
    _, cut, _, stopped = play(
        nemeses,
        START,
        ("partition", "start-partition", {"targets": ["n2"]}),
        RESUME,
        STOP,
    )

    assert cut.value["evidence"]["held"] is True
    assert stopped.value["evidence"]["healed"] is True
    assert cluster.grudge == isolate(cluster.nodes, ["n2"])


def test_it_counts_as_down_until_the_cut_heals(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3, leaders=("n1",))
    *_, early, _, late = play(
        nemeses_of(cluster), START, RESUME, ("kill", "kill"), STOP, ("kill", "kill")
    )

    assert early.value["targets"] == []
    assert len(late.value["targets"]) == 1


def test_heal_wakes_and_heals_whatever_fails(
    cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    cluster.leaders = ("n1",)
    nemeses = nemeses_of(cluster)
    play(nemeses, START)
    cluster.fails.add("resume")
    with pytest.raises(OSError, match="resume failed"):
        run(nemeses[NAME].heal())
    assert cluster.grudge == {}
    cluster.fails.clear()
    run(nemeses[NAME].heal())

    assert cluster.states["n1"].state is NodeState.RUNNING


def test_waking_nobody_is_skipped(cluster: Any, nemeses_of: Any, play: Any) -> None:
    (completion,) = play(nemeses_of(cluster), RESUME)

    assert completion.value["evidence"]["held"] is None
    assert completion.value["skipped"] == "nobody was deposed"


def test_two_nodes_are_too_few(make_cluster: Any, nemeses_of: Any) -> None:
    cluster = make_cluster(2)

    assert (
        nemeses_of(cluster)[NAME].probe().reason == "deposed-leader needs at least 3 nodes, got 2"
    )
