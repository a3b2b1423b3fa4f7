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
    partition info   stop-partition  {'evidence': {'healed': True}}
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
    ],
)
def test_missing_evidence_is_unknown(history: Notation, text: str, why: str) -> None:
    result = Evidence()(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert why in result.why


def test_recovery_needs_no_evidence(history: Notation) -> None:
    text = HELD + "recovery invoke await-ready\nrecovery info await-ready {'leader': 'n1'}"

    assert Evidence()(history(text), Budget()).verdict is Verdict.VALID
