"""Delta debugging against brute force on small predicates."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import combinations
from random import Random
from typing import Any, TypeVar

import pytest

from dissever.shrinking.reduction import Search, ddmin, earliest, reduce, without

T = TypeVar("T")

ITEMS = tuple(range(9))


def played(search: Generator[Sequence[Any], Any, T], fails: Callable[[Any], bool]) -> T:
    """Answer a search of places."""
    answer = None
    try:
        asked = next(search)
        while True:
            answer = next((place for place, each in enumerate(asked) if fails(each)), None)
            asked = search.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def answered(search: Search[T], fails: Callable[[T], bool]) -> T:
    """Answer a search of candidates."""

    def pairs() -> Generator[Sequence[T], int | None, T]:
        asked = next(search)
        while True:
            place = yield asked
            try:
                asked = search.send(None if place is None else (place, asked[place]))
            except StopIteration as end:
                result: T = end.value
                return result

    return played(pairs(), fails)


@pytest.mark.parametrize("seed", range(60))
def test_monotone_predicate_leaves_a_smallest_set(seed: int) -> None:
    rng = Random(seed)
    needed = [frozenset(rng.sample(ITEMS, rng.randint(0, 4))) for _ in range(rng.randint(1, 3))]

    def fails(items: tuple[int, ...]) -> bool:
        return any(each <= set(items) for each in needed)

    left = played(ddmin(ITEMS), fails)

    assert fails(left)
    assert not any(
        fails(part) for size in range(len(left)) for part in combinations(left, size)
    )  # Brute force: no part of it fails.


@pytest.mark.parametrize("seed", range(60))
def test_any_predicate_leaves_a_set_of_which_nothing_single_can_be_left_out(seed: int) -> None:
    rng = Random(seed)
    drawn: dict[tuple[int, ...], bool] = {ITEMS: True}

    def fails(items: tuple[int, ...]) -> bool:
        return drawn.setdefault(items, rng.random() < 0.3)

    left = played(ddmin(ITEMS), fails)

    assert fails(left)
    assert not left or not any(fails(part) for part in combinations(left, len(left) - 1))


def test_order_of_the_items_stays() -> None:
    left = played(ddmin("faults"), lambda items: {"s", "f", "u"} <= set(items))

    assert left == ("f", "u", "s")


def test_nothing_is_asked_of_nothing() -> None:
    assert played(ddmin(()), lambda _: pytest.fail("asked")) == ()


def test_without_keeps_what_an_attempt_changed() -> None:
    """A candidate comes back as it failed, such as with another seed, and goes on from there."""
    search = without((0, (1, 2)), (1, 2), lambda current, kept: (current[0], kept))

    assert next(search) == [(0, ())]
    assert search.send(None) == [(0, (2,)), (0, (1,))]
    with pytest.raises(StopIteration) as end:
        search.send((1, (7, (1,))))
    assert end.value.value == (7, (1,))


def test_reduce_goes_on_until_nothing_smaller_fails() -> None:
    left = answered(reduce(40, lambda n: [n // 2, n - 1]), lambda n: n >= 7)

    assert left == 7


@pytest.mark.parametrize("least", range(8))
def test_earliest_finds_the_least_number(least: int) -> None:
    assert answered(earliest(7, 7, lambda _, n: n), lambda n: n >= least) == least
