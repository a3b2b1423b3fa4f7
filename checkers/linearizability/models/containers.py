"""
What is put in and taken out: queues, a stack, a priority queue. None is the answer of an empty one.

Where an operation that crashed may have taken one of several, a state is the set of all that can
be (the power set of a model that has a choice), in the manner of Porcupine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from heapq import heappop, heappush
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Answers, Family, Monitor, Parts, Replayer
from dissever.checkers.linearizability.model import (
    REFUSED,
    UNKNOWN,
    After,
    Answer,
    Misfit,
    Model,
    State,
    Step,
    contents,
    priority,
)
from dissever.checkers.linearizability.monitors import containers
from dissever.harness.values import show


def _queue(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, tuple)
    if f == "enqueue":
        return (*state, _something(f, value_in))
    if f != "dequeue":
        raise Misfit(f"a queue has no {f!r}")
    if value_out is UNKNOWN:
        return state[1:]
    if not state:
        return state if value_out is None else REFUSED
    return state[1:] if state[0] == value_out else REFUSED


def _stack(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """The newest value is last."""
    assert isinstance(state, tuple)
    if f == "push":
        return (*state, _something(f, value_in))
    if f != "pop":
        raise Misfit(f"a stack has no {f!r}")
    if value_out is UNKNOWN:
        return state[:-1]
    if not state:
        return state if value_out is None else REFUSED
    return state[:-1] if state[-1] == value_out else REFUSED


def _unordered_queue(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, frozenset)
    if f == "enqueue":
        return frozenset(_with(bag, _something(f, value_in)) for bag in state)
    if f != "dequeue":
        raise Misfit(f"a queue has no {f!r}")
    return _take((bag, bag) for bag in state) if value_out is UNKNOWN else _given(state, value_out)


def _priority_queue(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """A value that is no pair is its own priority; of several with the greatest, any is taken."""
    assert isinstance(state, frozenset)
    if f == "insert":
        priority(value_in)
        return frozenset(_with(bag, value_in) for bag in state)
    if f != "remove-max":
        raise Misfit(f"a priority queue has no {f!r}")
    if value_out is UNKNOWN:
        return _take((bag, _greatest(bag)) for bag in state)
    if value_out is not None:
        priority(value_out)
    return _given((bag for bag in state if not bag or value_out in _greatest(bag)), value_out)


Bag = tuple[Hashable, ...]
"""In an order that does not depend on how it was filled."""


def _with(bag: Bag, item: Hashable) -> Bag:
    return tuple(sorted((*bag, item), key=repr))


def _without(bag: Bag, item: Hashable) -> Bag:
    place = bag.index(item)
    return bag[:place] + bag[place + 1 :]


def _greatest(bag: Bag) -> Bag:
    most = max(map(priority, bag), default=0)
    return tuple(item for item in bag if priority(item) == most)


def _take(choices: Iterable[tuple[Bag, Bag]]) -> frozenset[Bag]:
    """Every bag without any one of the items that it could lose; an empty one as it is."""
    after: set[Bag] = set()
    for bag, items in choices:
        after.update(_without(bag, item) for item in items)
        if not items:
            after.add(bag)
    return frozenset(after)


def _given(bags: Iterable[Bag], item: Hashable) -> frozenset[Bag] | Answer:
    """The bags that could have given an item, without it."""
    if item is None:
        after = frozenset(bag for bag in bags if not bag)
    else:
        after = frozenset(_without(bag, item) for bag in bags if item in bag)
    return after or REFUSED


def _something(f: str, value: Hashable) -> Hashable:
    if value is None:
        raise Misfit(f"{f} wants a value: null is the answer of an empty one")
    return value


def _show_bags(state: State) -> str:
    assert isinstance(state, frozenset)
    return " or ".join(sorted(show(bag) for bag in state))


def _line(put: str, take: Callable[[deque[Hashable]], Hashable]) -> Replayer:
    """Values in a row, which is empty where nothing is left to take."""

    def replayer(model: Model, wanted: set[Hashable]) -> Answers:
        assert isinstance(model.initial, tuple)
        held: deque[Hashable] = deque(model.initial)

        def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
            if f == put:
                held.append(value_in)
                return True
            found = take(held) if held else None
            return value_out is UNKNOWN or found == value_out

        return answers

    return replayer


def _ranked(put: str, rank: Callable[[Hashable], int]) -> Replayer:
    """
    Values that are each in at most once; any of those with the greatest rank is given.

    A crashed take takes, of what it may, something that no other take has: all such things are
    alike to whatever comes later.
    """

    def replayer(model: Model, wanted: set[Hashable]) -> Answers:
        assert isinstance(model.initial, frozenset)
        (bag,) = model.initial
        held: dict[int, dict[Hashable, None]] = {}
        spare: dict[int, list[Hashable]] = {}
        ranks: list[int] = []

        def insert(item: Hashable) -> bool:
            some = held.setdefault(rank(item), {})
            if not some:
                heappush(ranks, -rank(item))
            if item in some:
                return False
            some[item] = None
            if item not in wanted:
                spare.setdefault(rank(item), []).append(item)
            return True

        def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
            if f == put:
                return insert(value_in)
            while ranks and not held[-ranks[0]]:
                heappop(ranks)
            if not ranks:
                return value_out is UNKNOWN or value_out is None
            some = held[-ranks[0]]
            if value_out is UNKNOWN:
                left = spare.get(-ranks[0])
                return some.pop(left.pop()) is None if left else False
            if value_out not in some:
                return False
            del some[value_out]
            return True

        for item in bag:
            insert(item)
        return answers

    return replayer


def _handled(call: Call) -> Iterable[Hashable]:
    """The value put in or taken out, if any: what is empty stays empty without the others."""
    value = call.value_out if call.value_in is None else call.value_in
    return () if value is None else (value,)


def _needs(call: Call) -> Iterable[Hashable]:
    """A crashed take may have taken any value, so it touches all."""
    return (*_handled(call), UNKNOWN)


def _contents(noun: str, step: Step, container: containers.Container, initial: Hashable) -> State:
    """The state after each value was put into an empty one; what was put in first comes first."""
    state: State = container.initial
    for value in contents(noun)(initial):
        state = step(state, container.put, value, UNKNOWN)
    return state


def _model(
    name: str,
    step: Step,
    description: str,
    container: containers.Container,
    monitor: str,
    replayer: Replayer,
    *,
    put: str,
    noun: str = "queue",
) -> Model:
    return Model(
        name,
        container.initial,
        step,
        # To take from an empty container changes nothing, to take from another does.
        reads=frozenset(),
        takes=frozenset({container.take}),
        writes=frozenset({container.put}),
        is_endless=True,
        noun=noun,
        start=partial(_contents, name, step, container),
        holds=_show_bags if isinstance(container.initial, frozenset) else show,
        family=Family(
            has_order=partial(containers.has_order, container),
            monitor=Monitor(
                monitor, partial(containers.judge, container), f"each value was {put} once"
            ),
            replayer=replayer,
            parts=Parts(_needs, _handled, takes_any=True),
        ),
        description=description,
    )


MODELS: Final = (
    _model(
        "queue",
        _queue,
        "enqueue value, dequeue -> the oldest value, null when empty",
        containers.QUEUE,
        "queue-patterns",
        _line("enqueue", deque.popleft),
        put="enqueued",
    ),
    _model(
        "unordered-queue",
        _unordered_queue,
        "enqueue value, dequeue -> any value, null when empty",
        containers.UNORDERED_QUEUE,
        "gaps",
        _ranked("enqueue", lambda _: 0),
        put="enqueued",
    ),
    _model(
        "stack",
        _stack,
        "push value, pop -> the newest value, null when empty",
        containers.STACK,
        "peeling",
        _line("push", deque.pop),
        put="pushed",
        noun="stack",
    ),
    _model(
        "priority-queue",
        _priority_queue,
        "insert [priority, value] or int, remove-max -> a greatest, null when empty",
        containers.PRIORITY_QUEUE,
        "covers",
        _ranked("insert", priority),
        put="inserted",
        noun="priority queue",
    ),
)
