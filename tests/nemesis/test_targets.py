from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissever.nemesis.targets import (
    Choice,
    TargetSpec,
    choose,
    majority_size,
    minority_size,
    target_count,
)

NODES = ("n1", "n2", "n3", "n4", "n5")


def pick(
    spec: TargetSpec | list[str],
    *,
    primaries: tuple[str, ...] = (),
    excluded: tuple[str, ...] = (),
    limit: int | None = None,
) -> Choice:
    return choose(spec, NODES, primaries=primaries, excluded=excluded, rng=Random(3), limit=limit)


@given(st.integers(1, 50))
def test_without_a_minority_the_others_are_a_majority_and_no_more_may_go(count: int) -> None:
    assert count - minority_size(count) >= majority_size(count)
    assert count - (minority_size(count) + 1) < majority_size(count)


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)])
def test_the_minority_of_an_even_number_is_less_than_half(count: int, expected: int) -> None:
    assert minority_size(count) == expected


@given(
    st.sampled_from(list(TargetSpec)),
    st.integers(1, 9),
    st.data(),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_targets_are_up_and_ordered_and_no_more_than_asked_for(
    spec: TargetSpec, count: int, data: st.DataObject, limit: int | None
) -> None:
    nodes = [f"n{i}" for i in range(count)]
    primaries = data.draw(st.sets(st.sampled_from(nodes)))
    excluded = data.draw(st.sets(st.sampled_from(nodes)))
    rng = Random(data.draw(st.integers()))

    choice = choose(spec, nodes, primaries=primaries, excluded=excluded, rng=rng, limit=limit)

    assert not set(choice.targets) & excluded
    assert list(choice.targets) == [node for node in nodes if node in choice.targets]
    assert len(choice.targets) <= target_count(spec, count)
    assert limit is None or len(choice.targets) <= limit
    assert choice.targets or limit == 0 or set(nodes) <= excluded or spec not in ("one", "all")


def test_leader_means_everyone_who_claims_to_lead() -> None:
    assert pick(TargetSpec.LEADER, primaries=("n2", "n4")).targets == ("n2", "n4")


def test_of_several_leaders_no_more_are_drawn_than_the_limit() -> None:
    assert len(pick(TargetSpec.LEADER, primaries=("n2", "n4"), limit=1).targets) == 1


def test_without_a_known_leader_another_node_is_taken_and_that_is_said() -> None:
    choice = pick(TargetSpec.LEADER)

    assert len(choice.targets) == 1
    assert choice.notes == {"fallback": "no leader was known"}


def test_when_the_leader_is_down_another_node_is_taken_and_that_is_said() -> None:
    choice = pick(TargetSpec.LEADER, primaries=("n2",), excluded=("n2",))

    assert len(choice.targets) == 1
    assert choice.notes == {"fallback": "every leader is already down"}


def test_followers_are_all_that_do_not_lead() -> None:
    choice = pick(TargetSpec.FOLLOWERS, primaries=("n2",), excluded=("n5",))

    facts = {"leading": ["n2"], "as_asked": True}
    assert choice == Choice(("n1", "n3", "n4"), facts=facts)


@pytest.mark.parametrize(
    ("spec", "primaries", "is_met"),
    [
        (TargetSpec.LEADER, ("n2",), True),
        (TargetSpec.LEADER, ("n5",), False),
        (TargetSpec.LEADER, (), False),
        (TargetSpec.FOLLOWERS, ("n2",), True),
        (TargetSpec.FOLLOWERS, (), False),
    ],
)
def test_whether_those_are_struck_that_lead_is_evidence(
    spec: TargetSpec, primaries: tuple[str, ...], is_met: bool
) -> None:
    choice = pick(spec, primaries=primaries, excluded=("n5",))

    assert choice.facts == {"leading": list(primaries), "as_asked": is_met}


def test_targets_that_do_not_depend_on_who_leads_say_nothing_of_it() -> None:
    assert pick(TargetSpec.ONE, primaries=("n2",)).facts == {}


def test_named_nodes_are_taken_unless_they_are_down() -> None:
    assert pick(["n4", "n1", "n2"], excluded=("n1",)).targets == ("n2", "n4")


def test_a_name_that_is_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match="expected nodes out of n1, n2, n3, n4, n5, got n9"):
        pick(["n1", "n9"])


def test_nothing_is_taken_when_everyone_is_down() -> None:
    assert pick(TargetSpec.LEADER, excluded=NODES) == Choice(())


def test_over_many_seeds_every_node_is_drawn() -> None:
    drawn = {
        choose(TargetSpec.ONE, NODES, primaries=(), excluded=(), rng=Random(seed)).targets[0]
        for seed in range(100)
    }

    assert drawn == set(NODES)
