"""What a pass offers, without a run."""

from __future__ import annotations

from msgspec import structs

from dissever.harness.plan import Options
from dissever.nemesis.plans.operations import ClientOp
from dissever.nemesis.plans.script import Step
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.passes import passes

KILL = Step("kill", 7.0, for_s=2.0, nodes=("n1",))
PAUSE = Step("pause", 1.0, for_s=2.0, nodes=("n2",))

RUN = Candidate(
    Options(system="simulated", workload="register", time_limit_s=16, concurrency=2),
    (PAUSE, KILL),
    tuple(ClientOp(float(second), second % 2, "read", 0) for second in range(16)),
    True,
    2,
)


def in_operations(count: int) -> Candidate:
    """The run with so many operations."""
    ops = tuple(ClientOp(16 * n / count, n % 2, "read", 0) for n in range(count))
    return structs.replace(RUN, operations=ops)


def test_the_last_part_of_a_run_begins_at_its_start_with_the_faults_in_force() -> None:
    *_, half = next(passes(16.0)["later start"](RUN))

    assert half.options.time_limit_s == 8
    assert [op.at for op in half.operations or ()] == [float(second) for second in range(8)]
    assert half.faults == (Step("kill", 0.0, for_s=1.0, nodes=("n1",)),)


def test_the_shortest_last_part_comes_first() -> None:
    offered = next(passes(16.0)["later start"](RUN))

    assert [each.options.time_limit_s for each in offered] == [1, 2, 4, 8]


def test_of_the_last_part_the_last_part_is_tried_again() -> None:
    search = passes(16.0)["later start"](many := in_operations(200))
    *_, half = next(search)
    offered = search.send((3, half))

    assert half.options.time_limit_s == many.options.time_limit_s / 2
    assert [each.options.time_limit_s for each in offered] == [0.5, 1, 2, 4]


def test_an_earlier_end_is_looked_for_only_where_nobody_knows_the_end() -> None:
    (cut,) = next(passes(8.0)["shorter"](RUN))
    (middle,) = next(passes(None)["shorter"](RUN))

    assert 8 < cut.options.time_limit_s < 8.1
    assert middle.options.time_limit_s == 8


def test_each_fault_of_a_small_run_is_tried_alone_with_operations_close_to_it() -> None:
    small = structs.replace(RUN, operations=(ClientOp(3.0, 0, "read", 0),))
    found = next(passes(16.0)["faults"](small))
    tried = {(each.faults[0].fault, each.operations[0].at) for each in found if each.operations}

    assert all(len(each.faults) == 1 for each in found)
    assert tried == {
        *(("pause", at) for at in (3.0, 0.995, 1.005)),
        *(("kill", at) for at in (3.0, 6.995, 7.005)),
    }


def test_a_fault_of_a_large_run_is_not_tried_alone() -> None:
    (empty,) = next(passes(16.0)["faults"](RUN))

    assert empty.faults == ()
