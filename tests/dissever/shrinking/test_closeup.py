"""The leap from a recorded run to the operations that its failure names."""

from __future__ import annotations

from msgspec import structs

from dissever.harness.history import Event, Type
from dissever.harness.plan import Options
from dissever.nemesis.plans.operations import ClientOp
from dissever.nemesis.plans.script import Step
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.closeup import close_up, named_operations

KILL = Step("kill", 4.5, for_s=2.0, nodes=("n1",))
LATE = Step("pause", 9.0, for_s=0.5, nodes=("n2",))

RUN = Candidate(
    Options(system="simulated", workload="set", time_limit_s=16, concurrency=5),
    (KILL, LATE),
    tuple(ClientOp(second * 0.1, second % 5, "add", None, second) for second in range(160)),
    True,
    2,
)
NAMED = ((RUN.operations or ())[50],)
"""The add at 5 s."""


def offered() -> list[Candidate]:
    return list(next(close_up(RUN, RUN, NAMED)))


def test_named_operation_is_offered_alone_with_the_faults_around_it() -> None:
    alone = offered()[0]

    assert [(op.f, op.value, op.client) for op in alone.operations or ()] == [("add", 50, 0)]
    assert [step.fault for step in alone.faults] == ["kill"]
    assert alone.faults[0].at == 0
    assert alone.options.concurrency == 1
    assert alone.options.time_limit_s < 1.5


def test_named_operation_is_offered_with_those_just_before_it() -> None:
    near = [[op.value for op in each.operations or ()] for each in offered()]

    assert [47, 48, 49, 50] in near


def test_no_candidate_is_offered_twice() -> None:
    digests = [each.digest for each in offered()]

    assert len(digests) == len(set(digests))


def test_faults_of_both_ways_to_repeat_the_run_are_offered() -> None:
    asked = structs.replace(RUN, faults=(Step("kill:leader", 4.5, for_s=2.0),))
    faults = {each.faults[0].fault for each in next(close_up(asked, RUN, NAMED))}

    assert faults == {"kill", "kill:leader"}


def test_of_many_named_operations_the_first_are_tried() -> None:
    found = next(close_up(RUN, RUN, RUN.operations or ()))

    assert max(len(each.operations or ()) for each in found) == 10


def test_what_saves_less_than_half_is_not_offered() -> None:
    short = RUN.until(0.6)
    found = next(close_up(short, short, ((short.operations or ())[4],)))

    assert {len(each.operations or ()) for each in found} == {1}


def test_without_a_named_operation_nothing_is_tried() -> None:
    assert list(close_up(RUN, RUN, ())) == []


def test_anomaly_names_an_operation_by_its_completion_alone() -> None:
    events = (
        Event(0, 100_000_000, 3, Type.INVOKE, "add", 1),
        Event(1, 100_000_000, 4, Type.INVOKE, "add", 2),
        Event(2, 200_000_000, 3, Type.OK, "add", 1),
        Event(3, 900_000_000, "recovery", Type.INVOKE, "progress", None),
    )
    first, second = (ClientOp(0.1, 3, "add", None, 1), ClientOp(0.1, 4, "add", None, 2))
    run = structs.replace(RUN, operations=(first, second))

    assert named_operations((2,), events, run) == (first,)
    assert named_operations((3,), events, run) == ()
