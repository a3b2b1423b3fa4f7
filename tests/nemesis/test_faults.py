from __future__ import annotations

import pytest

from dissever.nemesis import FAULTS, KINDS, Fault, parse
from dissever.nemesis.faults import HEALING_ORDER


def test_a_fault_is_named_with_or_without_a_spec() -> None:
    asked = parse(["kill", "partition:majorities-ring"])

    assert asked == (Fault("kill"), Fault("partition", ("majorities-ring",)))


def test_specs_of_one_fault_come_together() -> None:
    assert parse(["kill:one", "pause", "kill:leader", "kill:one"]) == (
        Fault("kill", ("one", "leader")),
        Fault("pause"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton", "did you mean 'partition'"),
        ("kill:leeder", "spec of kill: one, minority, .*; got 'leeder'; did you mean 'leader'"),
        ("xyzzy", "expected a fault: partition, .*; got 'xyzzy'$"),
        ("kill:", "got ''"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse([text])


def test_specs_that_do_not_fit_are_not_drawn() -> None:
    assert Fault("kill").fitting(3, 1) == ("one", "minority", "leader", "followers")
    assert Fault("partition").fitting(2, 0) == ("one", "halves", "leader", "one-way")


@pytest.mark.parametrize(
    ("fault", "count", "budget", "message"),
    [
        (Fault("kill", ("all",)), 3, 1, "kill:all takes 3 of 3 nodes down, and the budget is 1"),
        (Fault("kill"), 2, 0, "kill:one takes 1 of 2 nodes down, and the budget is 0"),
        (Fault("partition", ("bridge",)), 2, 0, "partition:bridge needs at least 3 nodes, got 2"),
        (Fault("deposed-leader"), 2, 1, "deposed-leader:leader needs at least 3 nodes, got 2"),
    ],
)
def test_what_was_asked_for_and_does_not_fit_is_refused(
    fault: Fault, count: int, budget: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fault.fitting(count, budget)


def test_every_kind_has_a_shape_and_a_place_in_the_order_of_healing() -> None:
    assert set(KINDS) == set(FAULTS) == set(HEALING_ORDER)
