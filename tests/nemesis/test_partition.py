from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.client import Invocation
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import PartitionSpec, cut_links, isolate

START, STOP = ("partition", "start-partition"), ("partition", "stop-partition")


@pytest.mark.parametrize("spec", list(PartitionSpec))
def test_every_shape_cuts_and_heals_with_evidence(
    spec: PartitionSpec, cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n3",)
    cut, healed = play(nemeses_of(cluster), (*START, {"spec": spec.value, "seed": 5}), STOP)

    assert cut.value["spec"] == spec.value
    assert cut.value["targets"]
    assert cut.value["evidence"]["held"] is True
    assert len(cut.value["evidence"]["dropped"]) == cut.value["evidence"]["links"] > 0
    assert min(cut.value["evidence"]["dropped"].values()) > 0
    assert healed.value["evidence"]["healed"] is True
    assert healed.value["targets"] == cut.value["targets"]
    assert healed.error is cut.error is None
    assert cluster.grudge == {}


def test_the_seed_settles_whom_it_strikes(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    def grudge(seed: int) -> Any:
        (cut,) = play(nemeses_of(make_cluster()), (*START, {"spec": "halves", "seed": seed}))
        return cut.value["grudge"]

    assert grudge(1) == grudge(1)
    assert any(grudge(seed) != grudge(1) for seed in range(2, 9))


def test_without_a_seed_the_run_and_the_count_of_cuts_settle_it(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    def grudges() -> list[Any]:
        cuts = play(nemeses_of(make_cluster()), *[(*START, {"spec": "halves"})] * 6)
        return [cut.value["grudge"] for cut in cuts]

    assert grudges() == grudges()
    assert len({str(each) for each in grudges()}) > 1


def test_leader_cuts_off_everyone_who_claims_to_lead(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster.leaders = ("n2", "n4")
    (cut,) = play(nemeses_of(cluster), (*START, {"spec": "leader", "seed": 1}))

    assert cut.value["targets"] == ["n2", "n4"]
    assert cluster.grudge == isolate(cluster.nodes, ["n2", "n4"])


def test_leader_never_cuts_off_more_than_a_minority(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3, leaders=("n1", "n2"))
    (cut,) = play(nemeses_of(cluster), (*START, {"targets": "leader"}))

    assert len(cut.value["targets"]) == 1
    assert cut.value["targets"][0] in cluster.leaders


def test_without_a_leader_another_node_is_cut_off_and_that_is_said(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    (cut,) = play(nemeses_of(cluster), (*START, {"spec": "leader"}))

    assert len(cut.value["targets"]) == 1
    assert cut.value["fallback"] == "no leader was known"
    assert cut.value["evidence"]["held"] is True


def test_nodes_or_links_can_be_named(cluster: Any, nemeses_of: Any, play: Any) -> None:
    nemeses = nemeses_of(cluster)
    named, drawn = play(
        nemeses, (*START, {"targets": ["n5"]}), (*START, {"grudge": {"n1": ["n2"]}})
    )

    assert named.value["targets"] == ["n5"]
    assert drawn.value["evidence"]["links"] == 1
    assert cluster.grudge == {"n1": frozenset({"n2"})}


def test_a_cut_that_does_nothing_is_no_evidence(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    (cut,) = play(nemeses_of(make_cluster(3, lies={"drop"})), START)

    assert cut.value["evidence"]["held"] is False
    assert len(cut.value["evidence"]["leaking"]) == cut.value["evidence"]["links"] == 4
    assert cut.error == "the cut did not hold"


def test_a_cut_that_no_rule_has_counted_is_no_evidence(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    (cut,) = play(nemeses_of(make_cluster(3, lies={"dropped"})), START)

    assert cut.value["evidence"]["held"] is False
    assert "leaking" not in cut.value["evidence"]
    assert len(cut.value["evidence"]["uncounted"]) == 4


def test_a_cut_that_takes_other_links_with_it_is_no_evidence(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3, broken_links={("n2", "n3")})
    (cut,) = play(nemeses_of(cluster), (*START, {"targets": ["n1"]}))

    assert cut.value["evidence"]["held"] is False
    assert cut.value["evidence"]["lost"] == ["n2->n3"]


def test_a_datagram_that_is_lost_once_is_sent_again(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(3, lost_once={("n2", "n3")})
    (cut,) = play(nemeses_of(cluster), (*START, {"targets": ["n1"]}))

    assert cut.value["evidence"]["held"] is True


def test_a_cut_that_does_not_heal_is_seen(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster)
    play(nemeses, (*START, {"targets": ["n1"]}))
    cluster.lies.add("drop")
    (healed,) = play(nemeses, STOP)

    assert healed.value["evidence"]["healed"] is False
    assert healed.value["evidence"]["lost"] == ["n1->n2", "n1->n3", "n2->n1", "n3->n1"]
    assert healed.error == "the cut did not heal"


def test_healing_what_is_not_cut_looks_all_the_same(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    whole, broken = make_cluster(), make_cluster(broken_links={("n1", "n2")})
    (healed,) = play(nemeses_of(whole), STOP)
    (not_healed,) = play(nemeses_of(broken), STOP)

    assert healed.value == {"targets": [], "evidence": {"healed": True, "links": 0, "dropped": {}}}
    assert not_healed.value["evidence"]["healed"] is False


def test_heal_takes_the_cut_out_once_and_needs_no_counters(
    cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    nemeses = nemeses_of(cluster)
    play(nemeses, START)
    cluster.fails.add("dropped")
    run(nemeses["partition"].heal())
    calls = len(cluster.calls)
    run(nemeses["partition"].heal())

    assert cluster.grudge == {}
    assert len(cluster.calls) == calls


def test_heal_takes_out_a_cut_that_failed_half_way(
    cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    nemeses = nemeses_of(cluster)
    cluster.fails.add("drop")
    with pytest.raises(OSError, match="drop failed"):
        play(nemeses, START)
    cluster.fails.clear()
    run(nemeses["partition"].heal())

    assert cluster.calls == ["drop"]


def test_cuts_of_several_names_are_united_and_each_heals_its_own(cluster: Any, run: Any) -> None:
    async def main() -> None:
        cuts = Cuts(cluster)
        one, two = isolate(cluster.nodes, ["n1"]), isolate(cluster.nodes, ["n2"])
        assert (await cuts.add("a", one)).is_held
        second = await cuts.add("b", two)
        assert second.is_held
        first = await cuts.remove("a")
        assert first.is_healed
        # Both name the link, so the counts of the first go on when the second is made.
        assert first.dropped["n1", "n2"] > second.dropped["n1", "n2"] > 0
        assert cut_links(cluster.grudge) == cut_links(two)
        assert cuts.in_force == {"b": two}
        assert (await cuts.look("b")).is_held

    run(main())


@pytest.mark.parametrize(
    ("f", "value", "message"),
    [
        ("cut", None, "expected start-partition or stop-partition, got 'cut'"),
        ("start-partition", {"spec": "thirds"}, "thirds"),
        ("start-partition", {"sped": "one"}, "expected spec, .*, got sped"),
        ("start-partition", "one", "expected a mapping"),
        ("start-partition", {"targets": ["n9"]}, "got n9"),
    ],
)
def test_what_makes_no_sense_is_refused(
    f: str, value: Any, message: str, cluster: Any, nemeses_of: Any, play: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        play(nemeses_of(cluster), ("partition", f, value))


def test_one_node_has_no_links(make_cluster: Any, nemeses_of: Any) -> None:
    alone = make_cluster(1)
    missing = nemeses_of(alone)["partition"].probe()

    assert missing.remedy == "run with at least 2 nodes"
    assert nemeses_of(make_cluster(2))["partition"].probe() is None


def test_another_invocation_is_answered_as_info(cluster: Any, nemeses_of: Any, run: Any) -> None:
    nemesis = nemeses_of(cluster)["partition"]
    completion = run(nemesis.invoke(Invocation("stop-partition", process="partition")))

    assert completion.type == "info"
