"""Distributions: shapes, and what cannot be drawn from."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest

from dissever.harness.generator.distributions import (
    Distribution,
    Exponential,
    Geometric,
    OneOf,
    Uniform,
    Weighted,
    Zipf,
    nonempty_subset,
)


def drawn(distribution, count=4000):
    rng = Random(1)
    return [distribution.draw(rng) for _ in range(count)]


def test_uniform_includes_both_ends() -> None:
    assert set(drawn(Uniform(2, 5))) == {2, 3, 4, 5}


def test_exponential_has_its_mean() -> None:
    assert 2.8 < sum(drawn(Exponential(3))) / 4000 < 3.2


def test_geometric_counts_failures() -> None:
    values = drawn(Geometric(0.25))

    assert min(values) == 0
    assert 2.8 < sum(values) / 4000 < 3.2
    assert set(drawn(Geometric(1))) == {0}


def test_zipf_prefers_the_first() -> None:
    counted = Counter(drawn(Zipf(10, 1.0)))

    assert set(counted) == set(range(10))
    assert 1.6 < counted[0] / counted[1] < 2.4
    assert set(drawn(Zipf(1))) == {0}


def test_weighted_and_one_of() -> None:
    assert set(drawn(OneOf(("a", "b")))) == {"a", "b"}
    assert 2600 < Counter(drawn(Weighted(("a", "b", "c"), (3, 1, 0))))["a"] < 3400


def test_subset_is_never_empty() -> None:
    rng = Random(1)
    subsets = [nonempty_subset((1, 2, 3), rng) for _ in range(200)]

    assert {len(subset) for subset in subsets} == {1, 2, 3}
    assert all(len(set(subset)) == len(subset) for subset in subsets)


def test_option_file_holds_one() -> None:
    text = b'{"distribution": "zipf", "count": 100, "skew": 1.2}'

    assert msgspec.json.decode(text, type=Distribution) == Zipf(100, 1.2)


@pytest.mark.parametrize(
    "text",
    [
        b'{"distribution": "zipf", "count": 0}',
        b'{"distribution": "uniform", "lowest": 2, "highest": 1}',
        b'{"distribution": "geometric", "chance": 0}',
        b'{"distribution": "exponential", "mean": -1}',
        b'{"distribution": "one-of", "values": []}',
        b'{"distribution": "weighted", "values": [1], "weights": [1, 2]}',
        b'{"distribution": "weighted", "values": [1], "weights": [0]}',
        b'{"distribution": "normal"}',
    ],
)
def test_what_cannot_be_drawn_from_is_refused(text) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Distribution)
