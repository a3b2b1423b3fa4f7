"""What selects by a predicate show, each with its nearest innocent twin."""

from __future__ import annotations

from random import Random

import pytest

from dissever.checkers.rows import Rows
from dissever.checkers.rows.recorded import read
from dissever.checkers.rows.replay import serial_order
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Result, Verdict, smallest_history
from tests.checkers.rows.brute_force import compare, is_serializable, random_history

KINDS = {"ok": Type.OK, "info": Type.INFO, "fail": Type.FAIL}


def history(*transactions: tuple, kind: str = "ok") -> History:
    """
    Transactions as (first event, last event, micro-operations with answers), all of key 0.

    Events are numbered as they are given, so two transactions overlap if their numbers do.
    """
    events = {}
    for process, (first, last, *micros) in enumerate(transactions):
        asked = [[f, 0, what, None] for f, what, _ in micros]
        done = [[f, 0, what, answer] for f, what, answer in micros]
        events[first] = (process, Type.INVOKE, asked)
        events[last] = (process, KINDS[kind], done if kind == "ok" else asked)
    return History(
        Event(index, index * 10, process, event, "rows", value)
        for index, (process, event, value) in sorted(events.items())
    )


def judged(*transactions: tuple, model: str = "serializable") -> Result:
    return Rows(model)(history(*transactions), Budget())


def names(result: Result) -> set[str]:
    return {anomaly.name for anomaly in result.anomalies}


def insert(row: int, value: int) -> tuple:
    return ("insert", [row, value], True)


def select(modulus: int, remainder: int, *found: tuple[int, list[int]]) -> tuple:
    return ("select", [modulus, remainder], [list(each) for each in found])


def test_write_skew_by_predicate_is_g2_and_not_of_items() -> None:
    result = judged(
        (0, 2, select(2, 0), insert(1, 10)),
        (1, 3, select(2, 0), insert(2, 20)),
        (4, 5, select(1, 0, (1, [10]), (2, [20]))),
    )

    assert (result.verdict, names(result)) == (Verdict.INVALID, {"G2"})
    (anomaly,) = result.anomalies
    assert [(edge.source, edge.target, edge.kind) for edge in anomaly.cycle] == [
        (0, 1, "rw"),
        (1, 0, "rw"),
    ]
    assert anomaly.cycle[0].text == (
        "T1 selected the rows of key 0 with value % 2 = 0 and did not find row 2,"
        " because T2 inserted it as 20 only later"
    )
    assert anomaly.smallest == (0, 1)
    assert "repeatable-read" in result.details["remaining"]


def test_one_that_finds_the_row_of_the_other_is_no_write_skew() -> None:
    result = judged(
        (0, 2, select(2, 0), insert(1, 10)),
        (1, 3, select(2, 0, (1, [10])), insert(2, 20)),
    )

    assert (result.verdict, names(result)) == (Verdict.VALID, set())
    assert result.details["certificate"].endswith("one after another, give every answer")


def test_rows_that_a_predicate_does_not_match_are_no_write_skew() -> None:
    result = judged(
        (0, 2, select(2, 0), insert(1, 11)),
        (1, 3, select(2, 0), insert(2, 20)),
    )

    assert result.verdict is Verdict.VALID


def test_phantom_inside_one_transaction_is_read_skew_by_predicate() -> None:
    two_selects = (0, 3, select(2, 0), select(2, 0, (1, [10])))
    result = judged(two_selects, (1, 2, insert(1, 10)))

    assert (result.verdict, names(result)) == (Verdict.INVALID, {"G-single-predicate"})
    assert judged(two_selects, (1, 2, insert(1, 10)), model="repeatable-read").verdict is not (
        Verdict.INVALID
    )
    assert judged(two_selects, (1, 2, insert(1, 10)), model="snapshot-isolation").verdict is (
        Verdict.INVALID
    )


def test_row_that_left_the_predicate_counts_by_its_new_version() -> None:
    before = (0, 1, insert(1, 10))
    change = (2, 5, ("update", [1, 11], [10]), insert(2, 12))
    seen_half = (3, 6, select(2, 0), ("get", 1, [10, 11]))

    assert judged(before, change, seen_half).verdict is Verdict.INVALID
    assert judged(before, change, (3, 6, select(2, 0, (2, [12])))).verdict is Verdict.VALID


def test_version_that_a_select_must_have_seen_is_derived() -> None:
    before = (0, 1, insert(1, 10), insert(3, 7))
    change = (2, 4, ("update", [1, 11], [10]), ("update", [3, 9], [7]))
    result = judged(before, change, (3, 5, ("get", 3, [7]), select(2, 0)))

    assert (result.verdict, names(result)) == (Verdict.INVALID, {"G2"})
    assert "no other version" in result.anomalies[0].summary
    assert judged(before, change, (3, 5, ("get", 3, [7, 9]), select(2, 0))).verdict is Verdict.VALID


def test_replay_looks_at_what_a_select_missed() -> None:
    two = read(history((0, 2, insert(1, 10)), (1, 3, select(2, 0))))

    assert serial_order(two, []) == (1, 0)
    assert serial_order(two, [(0, 1)]) is None
    assert serial_order(read(history((0, 1, insert(1, 11)), (2, 3, select(2, 0)))), [(0, 1)])


def test_transaction_in_doubt_may_take_effect_in_a_replay() -> None:
    made, seen = (0, 1, insert(1, 10)), (4, 5, select(1, 0))
    delete = [Event(2, 20, 7, Type.INVOKE, "rows", [["delete", 0, 1, None]])]
    with_it = sorted([*history(made, seen), *delete], key=lambda event: event.index)

    assert Rows("strict-serializable")(History(with_it), Budget()).verdict is Verdict.VALID
    assert judged(made, seen, model="strict-serializable").verdict is Verdict.INVALID


def test_missed_row_may_be_dead() -> None:
    made, gone = (0, 1, insert(1, 10)), (2, 4, ("delete", 1, [10]))
    reader = (3, 5, select(2, 0), insert(2, 20))

    assert judged(made, gone, reader).verdict is Verdict.VALID


def test_dead_row_that_is_found_again_is_an_anomaly() -> None:
    result = judged(
        (0, 1, insert(1, 10)),
        (2, 3, ("delete", 1, [10]), insert(2, 20)),
        (4, 5, select(2, 0, (1, [10]), (2, [20]))),
    )

    assert result.verdict is Verdict.INVALID


def test_version_that_came_too_late_counts_for_real_time_alone() -> None:
    skewed = (
        (0, 2, ("get", 3, None), insert(2, 2)),
        (1, 4, insert(3, 4), select(1, 0, (3, [4]))),
        (3, 5, ("delete", 3, [4])),
    )

    assert judged(*skewed).verdict is Verdict.VALID
    assert judged(*skewed, model="strict-serializable").verdict is Verdict.INVALID


def test_stale_select_is_for_real_time_alone() -> None:
    stale = ((0, 1, insert(1, 10)), (2, 3, select(2, 0)))

    assert judged(*stale).verdict is Verdict.VALID
    result = judged(*stale, model="strict-serializable")
    assert (result.verdict, names(result)) == (Verdict.INVALID, {"G-single-predicate-realtime"})


def test_own_row_that_a_select_misses_is_a_predicate_read_miss() -> None:
    result = judged((0, 1, insert(1, 10), select(2, 0)))

    assert names(result) == {"predicate-read-miss"}
    assert judged((0, 1, insert(1, 11), select(2, 0))).verdict is Verdict.VALID


def test_row_that_a_select_does_not_match_is_no_answer() -> None:
    result = judged((0, 1, insert(1, 10), select(2, 1, (1, [10]))), model="read-uncommitted")

    assert "predicate-mismatch" in names(result)
    assert result.verdict is Verdict.INVALID


@pytest.mark.parametrize("kind", ["info", "fail"])
def test_what_may_not_have_happened_shows_nothing(kind: str) -> None:
    result = Rows()(history((0, 1, select(2, 0), insert(1, 10)), kind=kind), Budget())

    assert result.verdict is Verdict.UNKNOWN


def test_models_are_those_of_lists() -> None:
    assert Rows("PL-SS").consistency_model == "strict-serializable"
    with pytest.raises(ValueError, match=r"expected a consistency model out of .*, got"):
        Rows("serialisable-ish")


def test_nothing_read_is_unknown() -> None:
    assert judged((0, 1, insert(1, 10))).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("micro", "why"),
    [
        (["select", 0, [0, 0], []], "event 0: expected a modulus of at least 1"),
        (["remove", 0, 1, None], "event 0: expected insert, update, delete, get or select"),
        (["insert", 0, [1], True], "event 0: expected two numbers to insert"),
        (5, "event 0: expected [f, key, what, answer], got 5"),
    ],
)
def test_what_is_no_transaction_over_rows_is_malformed(micro: object, why: str) -> None:
    result = Rows()(History([Event(0, 0, 0, Type.INVOKE, "rows", [micro])]), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert why in result.why


def test_smallest_history_is_still_called_invalid() -> None:
    skewed = history(
        (0, 2, select(2, 0), insert(1, 10), ("get", 9, None)),
        (1, 3, insert(3, 7), select(2, 0), insert(2, 20)),
        (4, 5, select(1, 0, (1, [10]), (2, [20]), (3, [7]))),
    )
    (anomaly,) = Rows()(skewed, Budget()).anomalies
    small = smallest_history(skewed, anomaly)

    assert names(Rows()(small, Budget())) == {"G2"}
    assert sum(len(each.value) for each in small.operations) == 4


def test_agrees_with_every_serial_order() -> None:
    found = compare(150, seed=3)

    assert found["not valid"] == found["serializable invalid"] == 0
    assert found["not invalid"] > 5 * found["not unknown"]
    assert found["serializable valid"] > 50


def test_the_generator_makes_histories_that_no_order_explains() -> None:
    rng = Random(5)

    assert 2 < sum(not is_serializable(random_history(rng)) for _ in range(100)) < 50
