"""With how many seeds a candidate is tried."""

from __future__ import annotations

from msgspec import structs

from dissever.harness.plan import Options
from dissever.nemesis.plans.operations import ClientOp
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.trials import Answer, Answers, Task, decide_exactly, seeds


def of(count: int) -> Candidate:
    """A run of so many operations."""
    options = Options(system="simulated", workload="register", concurrency=1)
    ops = tuple(ClientOp(float(n), 0, "read", 0) for n in range(count))
    return Candidate(options, (), ops, True, 0)


def test_a_leap_is_tried_with_more_seeds_and_a_small_step_is_not() -> None:
    large = of(500)

    assert len(seeds(of(40), 1, large)) > 2 * len(seeds(of(40), 1))
    assert len(seeds(of(490), 1, large)) == len(seeds(of(490), 1))
    assert len(seeds(of(1), 1, large)) <= 101


def test_what_failed_last_says_how_large_a_leap_is() -> None:
    asked: list[Task] = []

    def tries(tasks: object) -> Answers:
        assert hasattr(tasks, "__iter__")
        for task in tasks:
            asked.append(task)
            yield task, Answer(failed=len(task.candidate.operations or ()) == 500)

    decide = decide_exactly(tries, 1)
    assert decide([of(40)]) is None
    before = len(asked)
    assert decide([structs.replace(of(500), final=False)]) is not None
    asked.clear()
    assert decide([of(40)]) is None

    assert len(asked) > 2 * before
