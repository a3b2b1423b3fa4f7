"""What the set workload asks, and how its client reports what a store answered."""

from __future__ import annotations

from random import Random

from dissever.harness import clock
from dissever.harness.client import Invocation, NotApplied
from dissever.harness.generator import Context, generator, limit
from dissever.harness.history import Type
from dissever.harness.plan import Options
from dissever.workloads.set import SetClient, final, operations

OPTIONS = Options(system="simulated", workload="set")


class Store:
    """A list, or an error."""

    def __init__(self, elements: list[int] | Exception) -> None:
        self._elements = elements

    async def add(self, element: int) -> None:
        await self.elements()

    async def elements(self) -> list[int]:
        if isinstance(self._elements, Exception):
            raise self._elements
        return self._elements

    async def close(self) -> None:
        pass


def test_elements_are_added_once_each_and_in_order() -> None:
    context = Context.initial(3, (), Random(2))
    source = limit(300, operations(OPTIONS))
    added = []
    while (answer := source.next(context)) is not None:
        step, source = answer
        assert isinstance(step, Invocation)
        if step.f == "add":
            added.append(step.value)

    assert added == list(range(len(added)))
    assert 250 < len(added) < 300


def test_every_worker_reads_in_the_end() -> None:
    context = Context.initial(3, (), Random(2))
    source = generator(final(OPTIONS, ()))
    first, free = [], 0b111
    while free:
        answer = source.next(Context(0, 7, free, (0, 1, 2), (0, 1, 2), context.rng, 0, 3))
        assert answer is not None
        step, source = answer
        assert isinstance(step, Invocation)
        first.append((step.process, step.f))
        free &= ~(1 << context.bit(step.process))

    assert sorted(first, key=str) == [(0, "read"), (1, "read"), (2, "read")]


def test_refused_add_is_fail_and_a_read_is_sorted() -> None:
    refused = SetClient(Store(NotApplied("busy", 5))).invoke(Invocation("add", 1))
    read = SetClient(Store([3, 1, 3])).invoke(Invocation("read"))

    assert clock.run(refused, is_virtual=True).type is Type.FAIL
    assert clock.run(read, is_virtual=True).value == [1, 3, 3]
