"""Many objects: one after another, several at once, and all of them at the end."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    clients,
    concurrent_keys,
    limit,
    nemesis,
    repeat,
    sequential_keys,
    stagger,
    then_with_keys,
    time_limit,
    until_ok,
)
from dissever.harness.generator.simulate import context, simulate
from dissever.harness.history import Type

R = Invocation("r")


def taken(source, *threads, limit=300):
    concurrency, *nemeses = threads
    events = simulate(source, context(concurrency, *nemeses), limit=limit)
    return [event for event in events if event.type is Type.INVOKE]


def test_sequential_keys_one_after_another() -> None:
    steps = taken(sequential_keys("abc", lambda _: limit(2, repeat(R))), 1)

    assert [step.key for step in steps] == list("aabbcc")


def test_sequential_keys_may_be_endless() -> None:
    steps = taken(sequential_keys(count(), lambda _: R), 2, limit=7)

    assert [step.key for step in steps] == list(range(7))


@pytest.mark.parametrize(
    ("threads", "size", "groups"),
    [
        (6, 2, [{0, 1}, {2, 3}, {4, 5}]),
        (5, 2, [{0, 1}, {2, 3, 4}]),
        (7, 3, [{0, 1, 2}, {3, 4, 5, 6}]),
        (2, 5, [{0, 1}]),
        (1, 1, [{0}]),
    ],
)
def test_concurrent_keys_groups_threads(threads, size, groups) -> None:
    steps = taken(
        concurrent_keys(size, count(), lambda _: limit(20, repeat(R))), threads, limit=200
    )

    found = {}
    for step in steps:
        found.setdefault(step.key, set()).add(step.process)

    assert sorted(map(sorted, {frozenset(group) for group in found.values()})) == [
        sorted(group) for group in groups
    ]


def test_concurrent_keys_use_every_key_to_its_end() -> None:
    steps = taken(concurrent_keys(2, range(9), lambda _: limit(5, repeat(R))), 4)

    assert Counter(step.key for step in steps) == dict.fromkeys(range(9), 5)


def test_concurrent_keys_leave_the_nemesis_out() -> None:
    steps = taken(concurrent_keys(1, range(3), lambda _: limit(5, repeat(R))), 2, "cut")

    assert {step.process for step in steps} == {0, 1}


def test_concurrent_keys_serve_every_group_at_a_low_rate() -> None:
    source = stagger(1e-6, concurrent_keys(1, count(), lambda _: limit(1000, repeat(R))))

    served = Counter(step.process for step in taken(source, 20, limit=1000))

    assert len(served) == 20
    assert min(served.values()) > 25


def test_concurrent_keys_tell_each_key_of_its_own_events() -> None:
    steps = taken(concurrent_keys(1, range(6), lambda _: until_ok(repeat(R))), 2)

    assert Counter(step.key for step in steps) == dict.fromkeys(range(6), 1)


def test_keys_without_threads_end() -> None:
    assert taken(nemesis(concurrent_keys(2, range(3), lambda _: R)), 2, "cut") == []


def test_final_reads_cover_every_key_once_everybody_is_free() -> None:
    work = time_limit(60e-9, concurrent_keys(1, count(), lambda _: limit(2, repeat(R))))
    source = clients(then_with_keys(work, lambda keys: [Invocation("last", key=k) for k in keys]))

    steps = taken(source, 3, "cut")
    reads = [step for step in steps if step.f == "last"]

    assert [step.key for step in reads] == list(dict.fromkeys(s.key for s in steps if s.f == "r"))
    assert min(step.time for step in reads) >= max(s.time for s in steps if s.f == "r") + 10
