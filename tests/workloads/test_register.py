"""What the register workload asks, and how its client reports what a store answered."""

from __future__ import annotations

from random import Random

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import PENDING, Context
from dissever.harness.history import Event, Type
from dissever.harness.plan import Options
from dissever.workloads.register import OPERATIONS_PER_KEY, Changes, RegisterClient, operations


class Store:
    """A register that answers, refuses, or breaks."""

    def __init__(self, answer: object = None) -> None:
        self._answer = answer

    async def read(self, key: int) -> int | None:
        return self._give()

    async def write(self, key: int, value: int) -> None:
        self._give()

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return bool(self._give())

    async def close(self) -> None:
        pass

    def _give(self) -> int | None:
        if isinstance(self._answer, Exception):
            raise self._answer
        assert self._answer is None or isinstance(self._answer, int)
        return self._answer


def apply(answer: object, invocation: Invocation) -> Completion:
    return clock.run(RegisterClient(Store(answer)).invoke(invocation), is_virtual=True)


@pytest.mark.parametrize(
    ("f", "value", "answer", "type_", "completed"),
    [
        ("read", None, 7, Type.OK, 7),
        ("read", None, None, Type.OK, None),
        ("write", 3, None, Type.OK, 3),
        ("cas", [1, 2], True, Type.OK, [1, 2]),
        ("cas", [1, 2], False, Type.FAIL, [1, 2]),
        ("write", 3, NotApplied("no leader", 10250), Type.FAIL, 3),
    ],
)
def test_answers_of_a_store_become_completions(
    f: str, value: object, answer: object, type_: Type, completed: object
) -> None:
    completion = apply(answer, Invocation(f, value, key=0))

    assert (completion.type, completion.value) == (type_, completed)


def test_what_a_store_raises_beyond_not_applied_is_left_to_the_interpreter() -> None:
    with pytest.raises(TimeoutError):
        apply(TimeoutError("who knows"), Invocation("write", 1, key=0))


def test_values_are_unique_and_comparisons_expect_what_was_seen_last() -> None:
    context = Context.initial(2, (), Random(5))
    changes = Changes(values=0)
    seen: list[Invocation] = []
    for index in range(200):
        answer = changes.next(context)
        assert answer is not None
        step, changes = answer
        assert isinstance(step, Invocation)
        seen.append(step)
        event = Event(index, 0, step.process, Type.OK, step.f, step.value, 0)
        changes = changes.update(context, event)
    written = [step.value if step.f == "write" else step.value[1] for step in seen]

    assert written == list(range(1, 201))
    assert {step.f for step in seen} == {"write", "cas"}
    assert all(step.value[0] == step.value[1] - 1 for step in seen if step.f == "cas")


def test_small_range_draws_values_from_it() -> None:
    context = Context.initial(2, (), Random(5))
    changes = Changes(values=3)
    drawn = set()
    for _ in range(100):
        answer = changes.next(context)
        assert answer is not None
        step, changes = answer
        assert isinstance(step, Invocation)
        drawn |= {step.value} if step.f == "write" else set(step.value)

    assert drawn == {0, 1, 2}


def test_group_reads_with_one_client_of_each_node_and_changes_with_the_other() -> None:
    options = Options(system="simulated", workload="register", nodes=("a", "b"), concurrency=4)
    context = Context.initial(4, (), Random(1))
    source = operations(options)
    by_process: dict[object, set[str]] = {}
    for _ in range(OPERATIONS_PER_KEY):
        answer = source.next(context)
        assert answer is not None
        step, source = answer
        assert step is not PENDING
        assert isinstance(step, Invocation)
        assert step.key == 0
        by_process.setdefault(step.process, set()).add(step.f)
        turn = (context.bit(step.process) + 1) % 4
        context = Context(0, 15, 15, context.threads, context.processes, context.rng, turn, 4)
    answer = source.next(context)

    assert by_process[0] == by_process[1] == {"read"}
    assert "read" not in by_process[2] | by_process[3]
    assert answer is not None
    assert isinstance(answer[0], Invocation)
    assert answer[0].key == 1, "a key is left after its operations"
