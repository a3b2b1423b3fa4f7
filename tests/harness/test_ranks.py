"""The k-th smallest of a stretch, against sorting the stretch."""

from __future__ import annotations

from random import Random

import pytest

from dissever.harness.ranks import FAN, LEAF, Ranks


@pytest.mark.parametrize("size", [1, LEAF - 1, LEAF, 3 * LEAF + 5, FAN * LEAF * 2 + 77])
def test_smallest_of_any_stretch_are_those_of_the_sorted_stretch(size: int) -> None:
    rng = Random(size)
    values = [rng.randrange(rng.choice((3, 1000, 1_000_000))) for _ in range(size)]
    ranks = Ranks(values)
    for _ in range(40):
        start, end = sorted(rng.randrange(size + 1) for _ in range(2))
        more = [rng.randrange(2_000_000) for _ in range(rng.randrange(4))]
        without = rng.sample(values[start:end], min(rng.randrange(4), end - start))
        expected = values[start:end] + more
        for value in without:
            expected.remove(value)
        expected.sort()
        if not expected:
            continue
        counts = [1, -(-len(expected) // 2), len(expected)]

        found = ranks.smallest(counts, start, end, more=more, without=without)

        assert found == [expected[count - 1] for count in counts]
