from __future__ import annotations

import pytest

from dissever.harness.episodes import Role
from dissever.harness.missing import Missing
from dissever.nemesis import FAULTS, Backend, FaultSpec, parse


def asked(name: str, *targets: str) -> FaultSpec:
    return FaultSpec(FAULTS[name], targets)


def test_a_fault_is_named_with_or_without_a_spec() -> None:
    specs = parse(["kill", "partition:majorities-ring"])

    assert specs == (
        asked("kill"),
        asked("partition", "majorities-ring"),
    )


def test_specs_of_one_fault_come_together() -> None:
    assert parse(["kill:one", "pause", "kill:leader", "kill:one"]) == (
        asked("kill", "one", "leader"),
        asked("pause"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton", "did you mean partition"),
        (
            "kill:leeder",
            "target of kill out of one, .*, got 'leeder'; did you mean leader",
        ),
        ("xyzzy", "expected a fault out of partition, .*, got 'xyzzy'$"),
        ("kill:", "got ''"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse([text])


def test_specs_that_do_not_fit_are_not_drawn() -> None:
    assert asked("kill").fitting(3, 1) == ("one", "minority", "leader", "followers")
    assert asked("partition").fitting(2, 0) == ("one", "halves", "leader", "one-way")


@pytest.mark.parametrize(
    ("fault", "count", "budget", "message"),
    [
        (
            asked("kill", "all"),
            3,
            1,
            "kill:all would take 3 of 3 nodes down, and the budget allows 1",
        ),
        (asked("kill"), 2, 0, "kill:one would take 1 of 2 nodes down, and the budget allows 0"),
        (
            asked("partition", "bridge"),
            2,
            0,
            "partition:bridge needs at least 3 nodes, got 2",
        ),
        (
            asked("deposed-leader"),
            2,
            1,
            "deposed-leader:leader needs at least 3 nodes, got 2",
        ),
    ],
)
def test_what_was_asked_for_and_does_not_fit_is_refused(
    fault: FaultSpec, count: int, budget: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fault.fitting(count, budget)


def test_a_name_stands_in_one_place_and_a_fault_ends_as_it_says() -> None:
    for name, fault in FAULTS.items():
        roles = [action.role for action in fault.actions.values()]

        assert fault.name == name
        assert (roles[0], roles[-1]) == (Role.INJECT, Role.HEAL)
        assert all(role is Role.CONTINUE for role in roles[1:-1])
        assert fault.description
        assert fault.held
        assert fault.healed
        assert fault.needs


def test_what_a_backend_lacks_follows_from_its_abilities() -> None:
    can = {name for name, fault in FAULTS.items() if not fault.missing(Backend.SIMULATED)}
    kernel, members = (FAULTS[n].missing(Backend.SIMULATED) for n in ("limit-cpu", "demote"))

    assert can == {"partition", "swizzle", "kill", "stop", "crash-loop", "pause"}
    assert kernel == Missing(
        "simulated hosts have no kernel", "use namespaces, containers or compose"
    )
    assert members is not None
    assert members.reason == "the simulated system has no members to change"
