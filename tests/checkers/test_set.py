"""For each anomaly of a grow-only set the smallest history, and its nearest innocent twin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import GrowOnlySet
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict, Wrong

Notation = Callable[[str], History]

GUILTY = {
    "lost": (
        """
        0 invoke add  1
        0 ok     add  1
        1 invoke read
        1 ok     read []
    """,
        (0, 1, 2, 3),
    ),
    "diverged": (
        """
        0 invoke add  1
        0 info   add  1
        1 invoke read
        1 ok     read [1]
        1 invoke read
        1 ok     read []
    """,
        (0, 1, 2, 3, 4, 5),
    ),
    "phantom": (
        """
        1 invoke read
        1 ok     read [1]
    """,
        (0, 1),
    ),
    "aborted-read": (
        """
        0 invoke add  1
        0 fail   add  1
        1 invoke read
        1 ok     read [1]
    """,
        (0, 1, 2, 3),
    ),
    "duplicate-elements": (
        """
        0 invoke add  1
        0 ok     add  1
        1 invoke read
        1 ok     read [1, 1]
    """,
        (0, 1, 2, 3),
    ),
}

INNOCENT = {
    "lost": """
        2 invoke add  0
        2 ok     add  0
        0 invoke add  1
        0 info   add  1
        1 invoke read
        1 ok     read [0]
    """,
    "diverged": """
        2 invoke add  0
        2 ok     add  0
        0 invoke add  1
        0 info   add  1
        1 invoke read
        3 invoke read
        1 ok     read [0, 1]
        3 ok     read [0]
    """,
    "phantom": """
        1 invoke read
        0 invoke add  1
        1 ok     read [1]
        0 ok     add  1
        1 invoke read
        1 ok     read [1]
    """,
    "aborted-read": """
        0 invoke add  1
        0 fail   add  1
        0 invoke add  1
        0 ok     add  1
        1 invoke read
        1 ok     read [1]
    """,
    "duplicate-elements": """
        0 invoke add  1
        0 ok     add  1
        0 invoke add  1
        0 ok     add  1
        1 invoke read
        1 ok     read [1]
    """,
}


@pytest.mark.parametrize("name", GUILTY)
def test_smallest_history_shows_the_anomaly(history: Notation, name: str) -> None:
    text, indices = GUILTY[name]

    result = GrowOnlySet()(history(text), Budget())

    assert result.verdict is Verdict.INVALID
    assert [(each.name, each.indices) for each in result.anomalies] == [(name, indices)]


@pytest.mark.parametrize("name", INNOCENT)
def test_nearest_twin_is_innocent(history: Notation, name: str) -> None:
    result = GrowOnlySet()(history(INNOCENT[name]), Budget())

    assert result.verdict is Verdict.VALID, result.why


def test_element_missing_on_one_node_only_is_lost(history: Notation) -> None:
    result = GrowOnlySet()(
        history("""
        0 invoke add  1
        0 ok     add  1
        1 invoke read
        1 ok     read [1]
        2 invoke read
        2 ok     read []
    """),
        Budget(),
    )

    assert [(each.name, each.indices) for each in result.anomalies] == [("lost", (0, 1, 4, 5))]


def test_add_acknowledged_when_the_read_was_asked_may_be_missing(history: Notation) -> None:
    result = GrowOnlySet()(
        history("""
        @0 0 invoke add  1
        @1 0 ok     add  1
        @1 1 invoke read
        @2 1 ok     read []
        @3 1 invoke read
        @4 1 ok     read [1]
    """),
        Budget(),
    )

    assert result.verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 invoke add 1\n0 ok add 1\n1 invoke read\n1 info read", "no read was answered"),
        ("", "no read was answered"),
        ("0 invoke add 1\n0 fail add 1\n1 invoke read\n1 ok read []", "no add was acknowledged"),
        (
            "0 invoke add 1\n0 ok add 1\n1 invoke read\n1 ok read [1]\n0 invoke add 2\n0 ok add 2",
            "too late for any read",
        ),
        ("0 ok add 1", "malformed"),
    ],
)
def test_nothing_to_judge_is_unknown(history: Notation, text: str, why: str) -> None:
    result = GrowOnlySet()(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert why in result.why


def test_counts_are_exact_where_the_list_is_capped(history: Notation) -> None:
    adds = "\n".join(f"{i} invoke add {i}\n{i} ok add {i}" for i in range(100))

    result = GrowOnlySet()(history(f"{adds}\n100 invoke read\n100 ok read [0]"), Budget())

    assert result.details["lost"] == 99
    assert result.anomalies[0].summary.startswith("99 elements were acknowledged and missing")
    (lost,) = result.anomalies
    when, *story = lost.steps
    assert when.text == "the 99 that are lost were acknowledged from 0.003 s to 0.199 s"
    assert [step.indices for step in story] == [(2, 3), (200, 201)]
    assert (len(lost.wrong), lost.wrong_count) == (8, 99)
    assert lost.wrong[0] == Wrong(answer=200, value="1", against=2)
