"""Nodes are cut off by turns, healed by turns; and a majority alone is healed first."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.nemesis import MAJORITY_ONLY, core


def drops(cluster: Any) -> list[str]:
    return [call for call in cluster.calls if call.startswith("drop")]


@pytest.mark.parametrize("seed", range(6))
def test_swizzle_cuts_and_heals_one_by_one(
    seed: int, cluster: Any, nemeses_of: Any, play: Any
) -> None:
    nemeses = nemeses_of(cluster, "swizzle")
    value = {"spec": "majority", "seed": seed}
    cut, healed = play(nemeses, ("swizzle", "start-swizzle", value), ("swizzle", "stop-swizzle"))

    assert cut.value["evidence"]["held"] is True
    assert healed.value["evidence"]["healed"] is True
    assert len(cut.value["targets"]) == 3
    assert sorted(cut.value["targets"]) == sorted(healed.value["targets"])
    assert len(drops(cluster)) == 6
    assert cluster.grudge == {}


def test_swizzle_heals_in_another_order_for_some_seed(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    orders = []
    for seed in range(6):
        value = {"spec": "majority", "seed": seed}
        steps = (("swizzle", "start-swizzle", value), ("swizzle", "stop-swizzle"))
        cut, healed = play(nemeses_of(cluster, "swizzle"), *steps)
        orders.append((cut.value["targets"], healed.value["targets"]))

    assert any(one != other for one, other in orders)


def test_swizzle_that_did_not_hold_says_so(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster = make_cluster(5, lies={"drop"})
    (cut,) = play(
        nemeses_of(cluster, "swizzle"), ("swizzle", "start-swizzle", {"spec": "minority"})
    )

    assert cut.value["evidence"]["held"] is False
    assert cut.error == "a cut did not hold"


def test_teardown_heals_a_swizzle_half_way(
    cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    nemeses = nemeses_of(cluster, "swizzle")
    play(nemeses, ("swizzle", "start-swizzle", {"spec": "all"}))
    run(nemeses["swizzle"].heal())

    assert cluster.grudge == {}


def test_the_core_is_a_majority_that_the_seed_draws() -> None:
    nodes = ("n1", "n2", "n3", "n4", "n5")

    assert {len(core(nodes, nodes, seed)) for seed in range(20)} == {3}
    assert len({core(nodes, nodes, seed) for seed in range(20)}) > 3
    assert core(nodes, nodes, 4) == core(nodes, nodes, 4)
    assert core(nodes, ("n1", "n2"), 1) == ()
    assert len(core(nodes, nodes[:4], 1)) == 4


def test_majority_only_cuts_the_others_off_and_heals(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    nemeses = nemeses_of(cluster)
    value = {"nodes": ["n1", "n2", "n3"]}
    (cut,) = play(nemeses, (MAJORITY_ONLY, "start-majority-only", value))

    assert cut.value["targets"] == ["n4", "n5"]
    assert cut.value["evidence"]["held"] is True
    assert cluster.grudge["n4"] == {"n1", "n2", "n3"}
    (healed,) = play(nemeses, (MAJORITY_ONLY, "stop-majority-only"))
    assert healed.value["evidence"]["healed"] is True
    assert cluster.grudge == {}
