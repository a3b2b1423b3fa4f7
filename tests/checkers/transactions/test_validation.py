"""The validator: orders, points and cycles that hold, and the same with one mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers.transactions.validation import (
    class_of,
    refute_anomalies,
    refute_order,
    refute_points,
)
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Edge

Notation = Callable[[str], History]

LOST = """
    0 invoke txn [["r", 1, None], ["append", 1, 1]]
    1 invoke txn [["r", 1, None], ["append", 1, 2]]
    0 ok txn [["r", 1, []], ["append", 1, 1]]
    1 ok txn [["r", 1, []], ["append", 1, 2]]
    2 invoke txn [["r", 1, None]]
    2 ok txn [["r", 1, [1, 2]]]
"""

SKEW = """
    0 invoke txn [["r", 1, None], ["append", 2, 1]]
    1 invoke txn [["r", 2, None], ["append", 1, 1]]
    0 ok txn [["r", 1, None], ["append", 2, 1]]
    1 ok txn [["r", 2, []], ["append", 1, 1]]
"""


def edge(source: int, target: int, kind: str, key: int | None = None) -> Edge:
    return Edge(source=source, target=target, kind=kind, key=key)


def test_serial_order_is_replayed(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["append", 1, 1]]
        1 invoke txn [["r", 1, None]]
        1 ok txn [["r", 1, []]]
        0 ok txn [["append", 1, 1]]
    """)

    assert refute_order(recorded, [1, 0], model="serializable") is None
    assert refute_order(recorded, [0, 1], model="serializable") == (
        "micro-operation 0 of event 2 read [] of key 1, which held [1]"
    )
    assert "is missing" in (refute_order(recorded, [1], model="serializable") or "")
    assert "stands twice" in (refute_order(recorded, [1, 0, 1], model="serializable") or "")
    assert "event 2" in (refute_order(recorded, [1, 2, 0], model="serializable") or "")


@pytest.mark.parametrize(
    ("process", "model", "holds"),
    [
        (1, "serializable", True),
        (1, "strong-session-serializable", True),
        (0, "strong-session-serializable", False),
        (1, "strict-serializable", False),
    ],
)
def test_order_keeps_what_the_model_asks(
    history: Notation, process: int, model: str, holds: bool
) -> None:
    recorded = history(f"""
        0 invoke txn [["append", 1, 1]]
        0 ok txn [["append", 1, 1]]
        {process} invoke txn [["r", 1, None]]
        {process} ok txn [["r", 1, []]]
    """)

    assert (refute_order(recorded, [2, 0], model=model) is None) is holds


def test_answers_of_one_time_are_concurrent(history: Notation) -> None:
    recorded = history("""
        @1 0 invoke txn [["append", 1, 1]]
        @2 0 ok txn [["append", 1, 1]]
        @2 1 invoke txn [["r", 1, None]]
        @3 1 ok txn [["r", 1, []]]
    """)

    assert refute_order(recorded, [2, 0], model="strict-serializable") is None


def test_failed_transactions_never_count_and_open_ones_may(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["w", 1, 1]]
        0 fail txn [["w", 1, 1]]
        1 invoke txn [["w", 1, 2]]
        2 invoke txn [["w", 1, 3]]
        2 info txn [["w", 1, 3]]
        3 invoke txn [["r", 1, None]]
        3 ok txn [["r", 1, 2]]
    """)

    assert refute_order(recorded, [2, 5], model="strict-serializable", rules="wr") is None
    assert refute_order(recorded, [3, 2, 5], model="serializable", rules="wr") is None
    assert "failed" in (refute_order(recorded, [0, 2, 5], model="serializable", rules="wr") or "")


def test_points_of_snapshots(history: Notation) -> None:
    skew = [(0, "start"), (1, "start"), (0, "commit"), (1, "commit")]
    recorded = history(SKEW)

    assert refute_points(recorded, skew, model="snapshot-isolation") is None
    assert refute_points(recorded, skew, model="strong-snapshot-isolation") is None
    late = [(0, "start"), (0, "commit"), (1, "start"), (1, "commit")]
    assert "which held [1]" in (refute_points(recorded, late, model="snapshot-isolation") or "")


def test_writers_of_one_key_do_not_overlap(history: Notation) -> None:
    points = [(0, "start"), (1, "start"), (0, "commit"), (1, "commit"), (4, "start"), (4, "commit")]

    flaw = refute_points(history(LOST), points, model="snapshot-isolation")

    assert flaw is not None
    assert "both wrote key 1" in flaw


def test_points_keep_real_time(history: Notation) -> None:
    recorded = history("""
        0 invoke txn [["append", 1, 1]]
        0 ok txn [["append", 1, 1]]
        1 invoke txn [["r", 1, None]]
        1 ok txn [["r", 1, []]]
    """)
    points = [(2, "start"), (0, "start"), (2, "commit"), (0, "commit")]

    assert refute_points(recorded, points, model="snapshot-isolation") is None
    assert refute_points(recorded, points, model="strong-snapshot-isolation") is not None


def test_cycle_is_derived_again(history: Notation) -> None:
    cycle = (edge(0, 1, "ww", 1), edge(1, 0, "rw", 1))
    anomaly = Anomaly(name="G-single", summary="", indices=(0, 1), cycle=cycle)
    turned = Anomaly(
        name="G-single",
        summary="",
        indices=(0, 1),
        cycle=(edge(1, 0, "ww", 1), edge(0, 1, "rw", 1)),
    )
    wrong = Anomaly(name="G2-item", summary="", indices=(0, 1), cycle=cycle)

    sound, unsound, misnamed = refute_anomalies(history(LOST), [anomaly, turned, wrong])

    assert sound is None
    assert unsound is not None
    assert "does not follow" in unsound
    assert misnamed == "the kinds of its edges make it G-single, not G2-item"


def test_skew_of_unobserved_appends(history: Notation) -> None:
    cycle = (edge(0, 1, "rw", 1), edge(1, 0, "rw", 2))
    names = ("G2-item", "write-skew", "lost-update")
    found = [Anomaly(name=name, summary="", indices=(0, 1), cycle=cycle) for name in names]

    assert [flaw is None for flaw in refute_anomalies(history(SKEW), found)] == [True, True, False]


def test_forced_order_of_registers_is_found(history: Notation) -> None:
    """Nobody reads 1 and writes 2; that 1 came before 2 follows from key 2 alone."""
    recorded = history("""
        0 invoke txn [["w", 1, 1], ["w", 2, 1]]
        1 invoke txn [["r", 2, None], ["w", 1, 2]]
        2 invoke txn [["r", 1, None], ["w", 3, 1]]
        3 invoke txn [["r", 3, None], ["r", 1, None]]
        0 ok txn [["w", 1, 1], ["w", 2, 1]]
        1 ok txn [["r", 2, 1], ["w", 1, 2]]
        2 ok txn [["r", 1, 2], ["w", 3, 1]]
        3 ok txn [["r", 3, 1], ["r", 1, 1]]
    """)
    cycle = (edge(1, 2, "wr", 1), edge(2, 3, "wr", 3), edge(3, 1, "rw", 1))
    anomaly = Anomaly(name="G-single", summary="", indices=(1, 2, 3), cycle=cycle)

    assert refute_anomalies(recorded, [anomaly], rules="wr") == (None,)


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        ("ww ww", "G0"),
        ("ww wr", "G1c"),
        ("ww realtime", "G0-realtime"),
        ("wr process", "G1c-process"),
        ("rw wr", "G-single"),
        ("rw wr rw ww", "G-nonadjacent"),
        ("rw process rw realtime", "G-nonadjacent-realtime"),
        ("rw wr rw", "G2-item"),
        ("rw rw", "G2-item"),
        ("process realtime", None),
    ],
)
def test_class_follows_from_the_kinds(kinds: str, name: str | None) -> None:
    assert class_of([edge(0, 1, kind) for kind in kinds.split()]) == name
