"""
Distributions of random numbers, as values that an options file can hold.

`{"distribution": "zipf", "count": 100, "skew": 1.2}` decodes to `Zipf(100, 1.2)`; one that cannot
be drawn from is refused when it is made. Each draw takes the stream it draws from.
"""

from __future__ import annotations

import math
from bisect import bisect
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any, TypeAlias

import msgspec


class Uniform(msgspec.Struct, frozen=True, tag_field="distribution", tag="uniform"):
    """Whole numbers from `lowest` to `highest`, both included."""

    lowest: int
    highest: int

    def __post_init__(self) -> None:
        _expect(self.lowest <= self.highest, "lowest <= highest", self)

    def draw(self, rng: Random) -> int:
        return rng.randint(self.lowest, self.highest)


class Exponential(msgspec.Struct, frozen=True, tag_field="distribution", tag="exponential"):
    """Waiting times of that mean."""

    mean: float

    def __post_init__(self) -> None:
        _expect(self.mean > 0, "mean > 0", self)

    def draw(self, rng: Random) -> float:
        return rng.expovariate(1 / self.mean)


class Geometric(msgspec.Struct, frozen=True, tag_field="distribution", tag="geometric"):
    """How many trials fail before one succeeds, each with that chance: 0, 1, 2, …"""

    chance: float

    def __post_init__(self) -> None:
        _expect(0 < self.chance <= 1, "0 < chance <= 1", self)

    def draw(self, rng: Random) -> int:
        if self.chance == 1:
            return 0
        return int(math.log(1 - rng.random()) / math.log(1 - self.chance))


class Zipf(msgspec.Struct, frozen=True, tag_field="distribution", tag="zipf"):
    """Whole numbers from 0 to `count` - 1, where i has the weight 1 / (i + 1) ** skew."""

    count: int
    skew: float = 1.0

    def __post_init__(self) -> None:
        _expect(self.count > 0 and self.skew >= 0, "count > 0 and skew >= 0", self)

    def draw(self, rng: Random) -> int:
        sums = _zipf_sums(self.count, self.skew)
        return bisect(sums, rng.random() * sums[-1], hi=self.count - 1)


class OneOf(msgspec.Struct, frozen=True, tag_field="distribution", tag="one-of"):
    """Each value as often as the others."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        _expect(bool(self.values), "at least one value", self)

    def draw(self, rng: Random) -> Any:
        return rng.choice(self.values)


class Weighted(msgspec.Struct, frozen=True, tag_field="distribution", tag="weighted"):
    """Each value as often as its weight says; weights need not add up to anything."""

    values: tuple[Any, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        fits = len(self.values) == len(self.weights) and sum(self.weights) > 0
        _expect(fits and min(self.weights) >= 0, "a weight for each value, some positive", self)

    def draw(self, rng: Random) -> Any:
        return rng.choices(self.values, self.weights)[0]


Distribution: TypeAlias = Uniform | Exponential | Geometric | Zipf | OneOf | Weighted


def nonempty_subset(values: tuple[Any, ...], rng: Random) -> tuple[Any, ...]:
    """At least one of at least one value: a size drawn uniformly, then that many, shuffled."""
    return tuple(rng.sample(values, rng.randint(1, len(values))))


@lru_cache(maxsize=16)
def _zipf_sums(count: int, skew: float) -> tuple[float, ...]:
    return tuple(accumulate((i + 1) ** -skew for i in range(count)))


def _expect(is_fit: bool, what: str, got: object) -> None:
    if not is_fit:
        raise ValueError(f"expected {what}, got {got}")
