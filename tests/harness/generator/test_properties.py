"""What holds for every generator, on random compositions."""

from __future__ import annotations

from itertools import count, pairwise
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    PENDING,
    Log,
    Sleep,
    any_of,
    clients,
    concurrency_limit,
    concurrent_keys,
    cycle,
    cycle_times,
    delay,
    each_process,
    each_thread,
    f_map,
    filter_invocations,
    flip_flop,
    generator,
    lazy,
    limit,
    mix,
    phases,
    process_limit,
    repeat,
    reserve,
    sequential_keys,
    shortest_any,
    stagger,
    synchronize,
    then_with_keys,
    time_limit,
    until_ok,
    validated,
)
from dissever.harness.generator.simulate import context, ending, simulate
from dissever.harness.history import Event, Type

LEAVES = st.one_of(
    st.builds(Invocation, st.sampled_from("rwc"), st.integers(0, 9)),
    st.just(Sleep(15)),
    st.just(Log("line")),
    st.just([]),
)
IMPERFECT = ending(Type.FAIL, Type.INFO, Type.OK)
NS = st.sampled_from([5e-9, 2e-8, 1e-7])


def compositions(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(list),
        pair.map(lambda s: (part for part in s)),
        inner.map(lambda s: limit(5, repeat(s))),
        inner.map(lambda s: cycle(s, 2)),
        inner.map(lambda s: lazy(lambda: s)),
        inner.map(synchronize),
        inner.map(until_ok),
        inner.map(clients),
        inner.map(each_thread),
        inner.map(lambda s: limit(9, each_process(s))),
        inner.map(lambda s: concurrency_limit(1, s)),
        inner.map(lambda s: process_limit(5, s)),
        inner.map(lambda s: f_map({"r": "w"}, s)),
        inner.map(lambda s: filter_invocations(lambda i: i.f != "c", s)),
        inner.map(lambda s: sequential_keys(range(2), lambda _: s)),
        inner.map(lambda s: limit(9, concurrent_keys(2, count(), lambda _: [s, Invocation("k")]))),
        inner.map(lambda s: then_with_keys(s, lambda keys: [Invocation("f", key=k) for k in keys])),
        pair.map(lambda s: any_of(*s)),
        pair.map(lambda s: mix(*s)),
        pair.map(lambda s: shortest_any(*s)),
        pair.map(lambda s: phases(*s)),
        pair.map(lambda s: [s[0], synchronize(s[1])]),
        pair.map(lambda s: flip_flop(*s)),
        pair.map(lambda s: reserve(1, *s)),
        st.tuples(NS, inner).map(lambda s: stagger(*s)),
        st.tuples(NS, inner).map(lambda s: delay(*s)),
        st.tuples(NS, inner).map(lambda s: time_limit(*s)),
        st.tuples(NS, inner, NS, inner).map(lambda s: cycle_times(*s)),
    )


SOURCES = st.recursive(LEAVES, compositions, max_leaves=6)


def step_of(answer):
    return None if answer is None else answer[0]


@settings(max_examples=300, deadline=None)
@given(SOURCES, st.integers(0, 1000))
def test_asking_twice_gives_the_same_answer(source, seed) -> None:
    asked = generator(source)
    here = context(3, "cut", seed=seed)
    for step_number in range(12):
        state = here.rng.getstate()
        first = asked.next(here)
        after = here.rng.getstate()
        here.rng.setstate(state)
        second = asked.next(here)

        assert step_of(first) == step_of(second)
        assert here.rng.getstate() == after

        if first is None or first[0] is PENDING:
            break
        step, asked = first
        if isinstance(step, Invocation):
            asked = _ended(asked, here, step, step_number)
        here = msgspec.structs.replace(here, time=max(step.time, here.time) + 7)


def _ended(asked, here, step, index):
    """The generator after an operation that was invoked and ended at once."""
    bit = here.bit(step.process)
    event = Event(index, step.time, step.process, Type.INVOKE, step.f, step.value, step.key)
    busy = msgspec.structs.replace(here, time=step.time, free=here.free & ~(1 << bit))
    asked = asked.update(busy, event)
    return asked.update(here, msgspec.structs.replace(event, type=Type.OK))


@settings(max_examples=200, deadline=None)
@given(SOURCES, st.integers(0, 1000))
def test_every_composition_obeys_the_rules_to_its_end(source, seed) -> None:
    source = any_of(validated(source), limit(20, delay(1e-8, repeat(Invocation("tick")))))

    events = simulate(time_limit(1e-6, source), context(3, "cut", seed=seed), IMPERFECT, limit=200)

    open_operations: dict = {}
    crashed = set()
    assert [event.index for event in events] == list(range(len(events)))
    assert all(a.time <= b.time for a, b in pairwise(events))
    for event in events:
        if event.type is Type.INVOKE:
            assert event.process not in open_operations
            assert event.process not in crashed
            open_operations[event.process] = event
        else:
            assert open_operations.pop(event.process).f == event.f
            if event.type is Type.INFO and event.is_client:
                crashed.add(event.process)
    assert not open_operations


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, 1000))
def test_same_seed_same_steps(data, seed) -> None:
    source = generator(data.draw(SOURCES))
    source = limit(30, any_of(source, delay(1e-8, repeat(Invocation("tick")))))

    runs = [simulate(source, context(3, "cut", seed=seed), IMPERFECT, limit=60) for _ in range(2)]

    assert runs[0] == runs[1]


def test_context_holds_the_stream_it_was_given() -> None:
    rng = Random(3)

    assert context().limited(1).rng is not rng
    assert context(seed=3).rng.random() == rng.random()
