"""A fault without evidence makes the run unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import Evidence
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]

HELD = """
    partition invoke start-partition {'targets': ['n1']}
    partition info   start-partition {'targets': ['n1'], 'evidence': {'held': True}}
    partition invoke stop-partition
    partition info   stop-partition  {'targets': ['n1'], 'evidence': {'healed': True}}
"""
SKIPPED = """
    kill invoke kill
    kill info   kill {'targets': [], 'skipped': 'the budget is used up', 'evidence': {'held': None}}
    kill invoke start
    kill info   start {'targets': [], 'evidence': {'healed': True}}
"""


def test_fault_that_held_and_healed_is_valid(history: Notation) -> None:
    assert Evidence()(history(HELD), Budget()).verdict is Verdict.VALID


def test_no_faults_are_valid(history: Notation) -> None:
    result = Evidence()(history("0 invoke read\n0 ok read 1"), Budget())

    assert (result.verdict, result.why) == (Verdict.VALID, "no faults were asked for")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            HELD.replace("'held': True", "'held': False"),
            "start-partition (partition) at 0.000 s has no evidence that it took hold",
        ),
        (HELD.replace("'held': True", "'held': 1"), "took hold"),
        (
            HELD.replace("'healed': True", "'healed': False"),
            "stop-partition (partition) at 0.002 s has no evidence that it healed",
        ),
        ("kill invoke kill", "kill (kill) at 0.000 s never completed"),
        ("kill invoke kill\nkill info kill", "no evidence"),
        ("kill invoke kill\nkill info kill {'targets': ['n1']}", "no evidence"),
        (
            HELD.replace(
                "'held': True}", "'held': True}, 'awaited': {'event': 'e', 'seen': False}"
            ),
            "came too early: e was not seen",
        ),
        (
            HELD[: HELD.index("partition invoke stop")],
            "start-partition (partition) at 0.000 s was never healed",
        ),
        (
            HELD.replace("['n1']", "['n1', 'n2']", 2),
            "stop-partition (partition) at 0.002 s did not heal n2, which the fault had struck",
        ),
        (
            HELD.replace("'healed': True", "'healed': True, 'still_held': False, 'lapsed': 'gone'"),
            "stop-partition (partition) at 0.002 s came too late: gone",
        ),
        (
            HELD.replace("'healed': True", "'healed': True, 'still_held': None"),
            "it is not known whether it was still in force",
        ),
        (SKIPPED, "no fault struck anything: kill (kill) at 0.000 s was skipped: the budget is"),
        (
            HELD.replace("'healed': True", "'healed': True, 'still_held': True, 'idle': True"),
            "no fault met anything: start-partition (partition) at 0.000 s was idle",
        ),
        (
            HELD.replace("'held': True", "'held': True, 'as_asked': False"),
            "no strike met the leader or followers that it was meant for",
        ),
        (
            HELD.replace("'held': True", "'held': True, 'as_asked': True").replace(
                "'healed': True", "'healed': True, 'still_held': True, 'as_asked': False"
            ),
            "no strike met the leader or followers that it was meant for",
        ),
    ],
)
def test_missing_evidence_is_unknown(history: Notation, text: str, why: str) -> None:
    result = Evidence()(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert why in result.why


def test_what_was_left_out_was_not_struck_and_is_counted_apart(history: Notation) -> None:
    result = Evidence()(history(HELD + SKIPPED), Budget())

    assert result.verdict is Verdict.VALID
    assert "1 strike left out: kill (kill) at 0.004 s was skipped: the budget is" in result.why
    assert result.details["strikes"] == {
        "partition": {"struck": 1, "held": 1},
        "kill": {"struck": 0, "held": 0, "skipped": 1},
    }


def test_an_idle_strike_beside_one_that_was_met_is_named_and_not_counted_as_held(
    history: Notation,
) -> None:
    idle = HELD.replace("'healed': True", "'healed': True, 'still_held': True, 'idle': True")
    result = Evidence()(history(HELD + idle), Budget())

    assert result.verdict is Verdict.VALID
    assert "1 strike met nothing: first start-partition (partition) at 0.004 s" in result.why
    assert result.details["strikes"] == {"partition": {"struck": 2, "held": 1, "idle": 1}}


def test_a_leader_that_was_missed_once_is_named(history: Notation) -> None:
    met, missed = (
        HELD.replace("'held': True", f"'held': True, 'as_asked': {is_met}")
        for is_met in (True, False)
    )
    result = Evidence()(history(met + missed), Budget())

    assert result.verdict is Verdict.VALID
    assert "1 strike met another node than was asked for" in result.why
    assert result.details["not_as_asked"] == ["start-partition (partition) at 0.004 s"]


def test_a_strike_that_another_replaced_is_healed_with_it(history: Notation) -> None:
    first = HELD[: HELD.index("partition invoke stop")].replace("n1", "n3")

    assert Evidence()(history(first + HELD), Budget()).verdict is Verdict.VALID


def test_recovery_needs_no_evidence(history: Notation) -> None:
    text = HELD + "recovery invoke await-ready\nrecovery info await-ready {'leader': 'n1'}"

    assert Evidence()(history(text), Budget()).verdict is Verdict.VALID


LATE = """
    demote invoke start-demote
    demote info   start-demote {'targets': ['n2'], 'evidence': {'held': True}}
    demote invoke stop-demote
    demote info   stop-demote {'targets': ['n2'], 'evidence': {'healed': False, 'still_held': True}}
    demote invoke stop-demote
    demote info   stop-demote  {'targets': %s, 'evidence': {'healed': %s, 'still_held': %s}}
"""


@pytest.mark.parametrize(
    ("targets", "healed", "still_held", "verdict"),
    [
        (["n2"], True, True, Verdict.VALID),
        (["n2"], True, False, Verdict.VALID),  # The first one came to its end in between.
        (["n2"], False, True, Verdict.UNKNOWN),
        (["n1"], True, True, Verdict.UNKNOWN),  # It healed another node.
        ([], True, True, Verdict.UNKNOWN),  # It healed nothing.
    ],
)
def test_a_healing_that_went_wrong_is_made_good_by_a_later_one_of_the_same_nodes(
    history: Notation, targets: list[str], healed: bool, still_held: bool, verdict: Verdict
) -> None:
    text = LATE % (targets, healed, still_held)

    assert Evidence()(history(text), Budget()).verdict is verdict


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [(None, Verdict.UNKNOWN), ({"partition"}, Verdict.UNKNOWN), (set(), Verdict.VALID)],
)
def test_a_leader_that_was_missed_counts_only_where_somebody_asked_for_it(
    history: Notation, asked: set[str] | None, verdict: Verdict
) -> None:
    missed = HELD.replace("'held': True", "'held': True, 'as_asked': False")
    result = Evidence(aimed=asked)(history(missed), Budget())

    assert result.verdict is verdict
    assert result.details["strikes"]["partition"]["not_as_asked"] == 1
