from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissever.harness.cluster import Grudge
from dissever.nemesis.partitions import grudges
from dissever.nemesis.targets import majority_size

counts = st.integers(2, 12)
counts_from_three = st.integers(3, 12)
rngs = st.integers(0, 1 << 32).map(Random)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(1, count + 1))


def is_symmetric(grudge: Grudge) -> bool:
    links = grudges.cut_links(grudge)
    return all((b, a) in links for a, b in links)


def hears(nodes: tuple[str, ...], grudge: Grudge) -> dict[str, frozenset[str]]:
    """Each node with those that it hears, itself too."""
    return {node: frozenset(nodes) - grudge.get(node, frozenset()) for node in nodes}


def components(nodes: tuple[str, ...], grudge: Grudge) -> list[int]:
    """The sizes of the groups that hear the same nodes, least first."""
    return sorted(len(group) for group in set(hears(nodes, grudge).values()))


@given(counts, rngs)
def test_one_cuts_one_node_off_both_ways(count: int, rng: Random) -> None:
    nodes = names(count)
    grudge = grudges.one(nodes, rng)

    assert is_symmetric(grudge)
    assert components(nodes, grudge) == [1, count - 1] if count > 2 else [1, 1]


@given(counts, rngs)
def test_halves_differ_by_one_node_at_most(count: int, rng: Random) -> None:
    nodes = names(count)
    grudge = grudges.halves(nodes, rng)

    assert is_symmetric(grudge)
    assert len(grudge) == count
    assert {len(heard) for heard in hears(nodes, grudge).values()} == {count // 2, -(-count // 2)}


@given(counts_from_three, rngs)
def test_majority_leaves_one_and_cuts_off_the_largest_minority(count: int, rng: Random) -> None:
    nodes = names(count)
    grudge = grudges.majority(nodes, rng)

    sizes = components(nodes, grudge)
    assert is_symmetric(grudge)
    assert sizes == [(count - 1) // 2, count - (count - 1) // 2]
    assert sizes[1] >= majority_size(count)


@given(counts_from_three, rngs)
def test_on_the_ring_everyone_hears_a_majority_and_nobody_hears_all(
    count: int, rng: Random
) -> None:
    nodes = names(count)
    heard = hears(nodes, grudges.majorities_ring(nodes, rng))

    assert all(len(each) >= majority_size(count) for each in heard.values())
    assert all(node in each for node, each in heard.items())
    assert any(len(each) < count for each in heard.values())


@given(st.integers(3, 5), rngs)
def test_small_rings_are_exact(count: int, rng: Random) -> None:
    nodes = names(count)
    heard = hears(nodes, grudges.majorities_ring(nodes, rng))

    assert {len(each) for each in heard.values()} == {majority_size(count)}
    assert len(set(heard.values())) == count


@given(st.integers(4, 12), rngs)
def test_rings_of_more_than_three_are_symmetric(count: int, rng: Random) -> None:
    assert is_symmetric(grudges.majorities_ring(names(count), rng))


@given(counts_from_three, rngs)
def test_the_bridge_hears_all_and_joins_two_halves(count: int, rng: Random) -> None:
    nodes = names(count)
    grudge = grudges.bridge(nodes, rng)
    heard = hears(nodes, grudge)
    (middle,) = set(nodes) - set(grudge)

    assert is_symmetric(grudge)
    assert len(heard[middle]) == count
    assert all(middle in each for each in heard.values())
    assert {len(heard[n]) - 1 for n in nodes if n != middle} == {(count - 1) // 2, count // 2}


@given(counts, st.data(), st.booleans())
def test_one_way_cuts_one_direction_between_the_targets_and_the_rest(
    count: int, data: st.DataObject, is_deaf: bool
) -> None:
    nodes = names(count)
    targets = data.draw(st.sets(st.sampled_from(nodes), min_size=1, max_size=count - 1))
    grudge = grudges.one_way(nodes, targets, is_deaf=is_deaf)

    inside = [(a, b) for a in nodes for b in nodes if a not in targets and b in targets]
    outside = [(b, a) for a, b in inside]
    assert grudges.cut_links(grudge) == set(inside if is_deaf else outside)


@given(counts, st.data())
def test_isolated_nodes_hear_only_themselves(count: int, data: st.DataObject) -> None:
    nodes = names(count)
    targets = data.draw(st.sets(st.sampled_from(nodes)))
    heard = hears(nodes, grudges.isolate(nodes, targets))

    assert all(heard[node] == {node} for node in targets)
    assert all(heard[node] == set(nodes) - targets for node in nodes if node not in targets)


@given(counts_from_three, rngs, rngs)
def test_merging_cuts_what_either_cuts(count: int, rng: Random, other: Random) -> None:
    nodes = names(count)
    a, b = grudges.halves(nodes, rng), grudges.majorities_ring(nodes, other)

    merged = grudges.merge([a, b])
    assert grudges.cut_links(merged) == grudges.cut_links(a) | grudges.cut_links(b)


@given(counts_from_three, rngs)
def test_inverting_what_is_heard_gives_the_grudge_back(count: int, rng: Random) -> None:
    nodes = names(count)
    grudge = grudges.majorities_ring(nodes, rng)

    assert grudges.invert(nodes, hears(nodes, grudge)) == grudge


@pytest.mark.parametrize("make", [grudges.one, grudges.halves, grudges.bridge, grudges.majority])
def test_the_same_seed_gives_the_same_grudge(
    make: Callable[[tuple[str, ...], Random], Grudge],
) -> None:
    assert make(names(5), Random("7")) == make(names(5), Random("7"))
    assert len({str(make(names(9), Random(seed))) for seed in range(9)}) > 1


@pytest.mark.parametrize("make", [grudges.bridge, grudges.majority, grudges.majorities_ring])
def test_two_nodes_are_too_few(make: Callable[[tuple[str, ...], Random], Grudge]) -> None:
    with pytest.raises(ValueError, match="at least 3 nodes, got 2"):
        make(names(2), Random(0))


@pytest.mark.parametrize(
    ("grudge", "expected"),
    [
        ({}, ()),
        (grudges.isolate(names(5), ["n4"]), ("n4",)),
        (grudges.complete([["n1", "n5"], ["n2", "n3", "n4"]]), ("n1", "n5")),
        (grudges.complete([["n1", "n2"], ["n4", "n5"]]), ("n1", "n2", "n4", "n5")),
        (grudges.one_way(names(5), ["n2"], is_deaf=True), ("n2",)),
        (grudges.one_way(names(5), ["n2"], is_deaf=False), ("n2",)),
    ],
)
def test_most_cut_are_those_whom_the_partition_is_about(
    grudge: Grudge, expected: tuple[str, ...]
) -> None:
    assert grudges.most_cut(names(5), grudge) == expected
